/** A credential input as one text. */
import type { Disk, Read } from "../services/Disk.ts"
import type { CredentialInput, ReadInput } from "../services/PrincipalResolver.ts"
import * as ForeignFile from "./ForeignFile.ts"

/** Reads an input; undefined if every file is absent and no variable is set. */
export const read = (disk: Disk, { configuration, files, variables }: CredentialInput): string | undefined => {
  const reads: Array<Read> = []
  let isEmpty = true
  for (const file of files) {
    const read = ForeignFile.read(disk, file)
    reads.push(read)
    isEmpty &&= read._tag === "Missing"
  }
  for (const name in variables) isEmpty &&= variables[name] === undefined
  const input: ReadInput = { files: reads, variables, configuration }
  return isEmpty ? undefined : JSON.stringify(input)
}

/** Decodes an input. */
export const decode = (text: string): ReadInput => JSON.parse(text)
