export default { build: { outDir: '../public', emptyOutDir: true } }
