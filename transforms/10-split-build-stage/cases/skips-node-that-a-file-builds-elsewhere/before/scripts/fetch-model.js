require('fs').writeFileSync('/opt/model.bin', 'x')
