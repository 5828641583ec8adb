'use strict';
// Arguments: the directory of the package typescript, or - for that of the first tsc on PATH; the
// file with the program; the program's own. Types are dropped and not checked, as with ts-node's
// --transpile-only, and modules become CommonJS, found from the working directory.
const fs = require('fs');
const Module = require('module');
const path = require('path');

const [library, source] = process.argv.splice(1, 3).slice(1);

function installed() {
  for (const directory of (process.env.PATH || '').split(path.delimiter)) {
    const found = path.join(directory, 'tsc');
    if (fs.existsSync(found)) return Module.createRequire(fs.realpathSync(found))('typescript');
  }
  throw new Error('typescript: not installed');
}

const ts = library === '-' ? installed() : require(library);
const compilerOptions = {
  module: ts.ModuleKind.CommonJS,
  target: ts.ScriptTarget.ES2020,
  esModuleInterop: true,
  experimentalDecorators: true,
  inlineSourceMap: true,
  jsx: ts.JsxEmit.React,
};

function transpile(file, fileName) {
  const text = fs.readFileSync(file, 'utf8');
  const output = ts.transpileModule(text, { compilerOptions, fileName, reportDiagnostics: true });
  const wrong = (output.diagnostics || []).filter((each) => each.file);
  if (wrong.length) {
    process.stderr.write(ts.formatDiagnostics(wrong, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => process.cwd(),
      getNewLine: () => '\n',
    }));
    process.exit(2);
  }
  return output.outputText;
}

for (const ending of ['.ts', '.cts', '.tsx']) {
  Module._extensions[ending] = (module, file) => module._compile(transpile(file, file), file);
}
const name = path.join(process.cwd(), 'code.ts');
const main = new Module('.', null);
main.filename = name;
main.paths = Module._nodeModulePaths(process.cwd());
process.mainModule = main;
// Later, so that no frame of this file is below the program's.
process.nextTick(main._compile.bind(main, transpile(source, name), name));
