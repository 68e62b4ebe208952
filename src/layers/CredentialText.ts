/** A credential input as one text. */
import type { Disk } from "../services/Disk.ts"
import type { CredentialInput, ReadInput } from "../services/PrincipalResolver.ts"
import * as ForeignFile from "./ForeignFile.ts"

/** Reads an input; undefined if every file is absent and no variable is set. */
export const read = (disk: Disk, { configuration, files, variables }: CredentialInput): string | undefined => {
  const input: ReadInput = { files: files.map((file) => ForeignFile.read(disk, file)), variables, configuration }
  const isEmpty = input.files.every(({ _tag }) => _tag === "Missing") &&
    Object.values(variables).every((value) => value === undefined)
  return isEmpty ? undefined : JSON.stringify(input)
}

/** Decodes an input. */
export const decode = (text: string): ReadInput => JSON.parse(text)
