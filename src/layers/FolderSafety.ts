/** Checks the type, the owner and the mode of a folder. */
import type { Entry } from "../services/Disk.ts"

const groupOrOthersMayWrite = 0o022

/**
 * Returns why a folder is unsafe: it is not a folder, another user owns it, or other users may write to it.
 */
export const problem = (
  folder: string,
  { mode, type, uid: owner }: Entry,
  uid: { readonly effective: number } | undefined,
  forbidden: number = groupOrOthersMayWrite
): string | undefined => {
  if (type !== "Directory") return `${folder} is not a real folder`
  if (uid === undefined || owner === undefined) return undefined
  if (owner !== uid.effective) return `${folder} has another owner`
  return (mode & forbidden) === 0 ? undefined : `others may write to ${folder}; \`chmod go-w\` ends that`
}
