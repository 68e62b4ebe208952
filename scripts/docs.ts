/**
 * `npm run docs [-- <folder>]`: whether the code blocks of the documents and docstrings compile, and their links lead
 * somewhere, in this checkout or in that copy of it.
 */
import * as Path from "node:path"
import * as CodeBlocks from "./CodeBlocks.ts"

const root = Path.resolve(process.argv[2] ?? Path.join(import.meta.dirname, ".."))
const documents = CodeBlocks.documents(root)
const blocks = CodeBlocks.read(root, [...documents, ...CodeBlocks.modules(root)], "ts")
const findings = [...await CodeBlocks.compile(root, blocks), ...CodeBlocks.brokenLinks(root, documents)]

for (const finding of findings) console.error(CodeBlocks.format(finding))
if (findings.length > 0) console.error(CodeBlocks.advice)
console.log(`${blocks.length} code blocks in ${documents.length} documents and in docstrings: ${findings.length} wrong`)
if (blocks.length === 0 || findings.length > 0) process.exitCode = 1
