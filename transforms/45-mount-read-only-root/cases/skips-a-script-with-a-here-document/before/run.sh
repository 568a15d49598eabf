#!/bin/sh
cat <<END
hello
END
exec sleep infinity
