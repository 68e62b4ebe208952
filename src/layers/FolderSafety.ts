/** Whether a folder is the user's own. */
import type { Entry } from "../services/Disk.ts"

const groupOrOthersMayWrite = 0o022

/**
 * Returns what keeps a folder from being used: it is no real folder, another user owns it, or others may write to it.
 */
export const problem = (
  folder: string,
  { mode, type, uid: owner }: Entry,
  uid: { readonly effective: number } | undefined,
  forbidden: number = groupOrOthersMayWrite
): string | undefined => {
  if (type !== "Directory") return `${folder} is no folder, or a link`
  if (uid === undefined || owner === undefined) return undefined
  if (owner !== uid.effective) return `${folder} is another user's`
  return (mode & forbidden) === 0 ? undefined : `others may write to ${folder}; \`chmod go-w\` ends that`
}
