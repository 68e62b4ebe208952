/** A credential input as one text. */
import { isAbsolute } from "node:path"
import { type Disk, type Read, refusedRead } from "../services/Disk.ts"
import type { CredentialInput, ReadInput } from "../services/PrincipalResolver.ts"
import * as ForeignFile from "./ForeignFile.ts"

/** Returns the source of a missing credential: `unknown` for the input of a host without a resolver, which reads nothing. */
export const absentIn = (input: CredentialInput | undefined): "none" | "unknown" =>
  input !== undefined && input.files.length + Object.keys(input.variables).length === 0 ? "unknown" : "none"

/** Reads an input; undefined if every file is absent and no variable is set. */
export const read = (disk: Disk, { configuration, files, variables }: CredentialInput): string | undefined => {
  const reads: Array<Read> = []
  let isEmpty = true
  for (const file of files) {
    // A relative path would be another file in each folder.
    const read = isAbsolute(file) ? ForeignFile.read(disk, file) : refusedRead("EINVAL")
    reads.push(read)
    isEmpty &&= read._tag === "Missing"
  }
  for (const name in variables) isEmpty &&= variables[name] === undefined
  const input: ReadInput = { files: reads, variables, configuration }
  return isEmpty ? undefined : JSON.stringify(input)
}

/** Decodes an input. */
export const decode = (text: string): ReadInput => JSON.parse(text)
