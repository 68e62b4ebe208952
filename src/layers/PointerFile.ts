/** Rewrites the identity file. The keys of other tools are kept. */
import { type IdentityCodec, keysOf, type Pointer } from "../domain/IdentityCodec.ts"
import type { Session } from "../domain/Session.ts"
import type { StateFiles } from "./StateFiles.ts"

/** Rewrites an identity file, given its text; returns whether it was written. */
export const rewrite = (
  files: StateFiles,
  codec: IdentityCodec,
  text: string,
  pointer: Pointer,
  newId: () => string,
  session?: Session
): boolean => {
  let code: string | undefined
  try {
    const rewritten = codec.encode(pointer, keysOf(text), newId, session)
    code = files.replace(files.home.identityFile(codec.fileName), rewritten, codec.withConsent !== undefined)
  } catch {
    // The keys of other tools are nested too deep, or too large with indentation.
    code = "it cannot be encoded"
  }
  if (code !== undefined) files.notes.add(`could not rewrite the identity file: ${code}`)
  return code === undefined
}

/** Writes a session into the identity file, if the file names the anon id of the session. */
export const touch = (files: StateFiles, codec: IdentityCodec, session: Session, newId: () => string): void => {
  const found = files.read(files.home.identityFile(codec.fileName))
  const pointer = found._tag === "Text" ? codec.decode(found.text) : undefined
  if (found._tag !== "Text" || pointer?.anonId !== session.anon_id) return
  rewrite(files, codec, found.text, pointer, newId, session)
}
