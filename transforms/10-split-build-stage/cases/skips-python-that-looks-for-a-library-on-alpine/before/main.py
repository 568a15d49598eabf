from ctypes.util import find_library
find_library('geos_c')
