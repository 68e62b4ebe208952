/** The state of a command's stitch, and its transitions. */
import * as Redacted from "effect/Redacted"
import type { CredentialFacts } from "./Attribution.ts"
import * as Credential from "./Credential.ts"
import type { Knowledge } from "./Known.ts"
import type { PrincipalId } from "./PrincipalId.ts"

/** A credential and its cached knowledge, at the time of reading. */
export interface ReadCredential {
  readonly found: Credential.Credential | undefined
  readonly known: Knowledge | undefined
}

/** The answer of the API to a request for the principal of a credential; no principal if it did not answer in time. */
export interface Answer {
  readonly about: Credential.Credential
  readonly principal: PrincipalId | undefined
}

/**
 * The state of a command. The identity slot and `stitchAttempted` are kept outside it.
 *
 * **Details**
 *
 * `Active`: no logout has begun, or a login has ended it. `SigningOut`: a logout has begun, and the host has already
 * removed the credential. `SignedOut`: a logout has ended, and only a login stitches again.
 */
export interface StitchState {
  readonly phase: "Active" | "SigningOut" | "SignedOut"
  /** Whether the identity was read in this command. */
  readonly isOpen: boolean
  /** The first credential of the command; undefined before it was read, and after a logout without consent. */
  readonly initial: ReadCredential | undefined
  readonly current: ReadCredential
  /** The principal of a response. It becomes the principal of the current credential when the command succeeds. */
  readonly observed: PrincipalId | undefined
  readonly answer: Answer | undefined
}

/** No credential. */
export const none: ReadCredential = { found: undefined, known: undefined }

/** A credential that exists and cannot be read. */
export const unreadable: ReadCredential = { found: Credential.unreadable, known: undefined }

/**
 * The credential after a logout during which another process rotated the anon id. The new anon id may be claimed by the
 * account of a newer login, so the events of this command have no principal.
 */
export const unattributable: ReadCredential = {
  found: { source: "environment", secret: Redacted.make("") },
  known: undefined
}

export const idle: StitchState = {
  phase: "Active",
  isOpen: false,
  initial: undefined,
  current: none,
  observed: undefined,
  answer: undefined
}

/** Returns the facts of a credential that the rules need. `absent` is the source without a credential. */
export const facts = ({ found, known }: ReadCredential, absent: "none" | "unknown"): CredentialFacts => ({
  source: found?.source ?? absent,
  principal: known ?? undefined
})

/** Returns whether a read credential is equal to a credential. */
export const holds = ({ found }: ReadCredential, credential: Credential.Credential): boolean =>
  found !== undefined && Credential.key(found) === Credential.key(credential)

/** Returns the answer of the API about a read credential. */
export const answerAbout = ({ answer }: StitchState, credential: ReadCredential): Answer | undefined =>
  answer !== undefined && holds(credential, answer.about) ? answer : undefined

/** Returns whether another process has replaced or removed the first credential of the command. */
export const hasChanged = ({ current, initial }: StitchState): boolean =>
  initial?.found !== undefined && !holds(current, initial.found)

// == transitions

/** Sets the first credential of the command. */
export const begin = (state: StitchState, initial: ReadCredential): StitchState => ({ ...state, initial })

/** Sets the current credential. */
export const replaceCurrent = (state: StitchState, current: ReadCredential): StitchState => ({ ...state, current })

/** Notes that the identity is read. */
export const open = (state: StitchState): StitchState => ({ ...state, isOpen: true })

/** Sets the principal of the current credential. */
export const identify = (state: StitchState, principal: PrincipalId): StitchState => ({
  ...state,
  current: { found: state.current.found, known: principal }
})

/** Sets the answer of the API. */
export const answer = (state: StitchState, answer: Answer): StitchState => ({ ...state, answer })

/** Sets or clears the principal of a response. */
export const observe = (state: StitchState, principal: PrincipalId | undefined): StitchState => ({
  ...state,
  observed: principal
})

/** Notes a login: its credential is the first and current credential. */
export const signIn = (state: StitchState, credential: ReadCredential): StitchState => ({
  ...state,
  phase: "Active",
  initial: credential,
  current: credential,
  observed: undefined
})

/** Notes the begin of a logout. */
export const beginSignOut = (state: StitchState): StitchState => ({
  ...state,
  phase: state.phase === "SignedOut" ? "SignedOut" : "SigningOut"
})

/** Notes the end of a logout: no credential is kept. */
export const signOut = (state: StitchState): StitchState => ({ ...state, phase: "SignedOut", current: none })

/** Notes a logout while consent is denied or cannot be read: the first credential is not kept either. */
export const forget = (state: StitchState): StitchState => ({ ...signOut(state), initial: undefined })
