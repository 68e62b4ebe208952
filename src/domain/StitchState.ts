/** What a command knows of its user: one state, with named transitions. */
import * as Redacted from "effect/Redacted"
import type { CredentialFacts } from "./Attribution.ts"
import * as Credential from "./Credential.ts"
import type { Knowledge } from "./Known.ts"
import type { PrincipalId } from "./PrincipalId.ts"

/** A credential as it was read, and what was known of it then. */
export interface ReadCredential {
  readonly found: Credential.Credential | undefined
  readonly known: Knowledge | undefined
}

/** What the API answered about a credential; no principal where it did not answer in time. */
export interface Answer {
  readonly about: Credential.Credential
  readonly principal: PrincipalId | undefined
}

/**
 * The state of a command. Beside it are the identity slot and `stitchAttempted`, which are set before anything is waited
 * for.
 *
 * **Details**
 *
 * `Idle`: the identity was not read yet. `SigningOut`: a logout has begun, and the host has removed the credential
 * already. `Open`: the identity was read, and the current credential was compared with it. `SignedOut`: a logout has
 * ended; nothing stitches any more, unless by a login.
 */
export interface StitchState {
  readonly phase: "Idle" | "SigningOut" | "Open" | "SignedOut"
  /** Whether the identity was read in this command. */
  readonly isOpen: boolean
  /** The credential that the command began with; undefined before it was read, and after a logout. */
  readonly initial: ReadCredential | undefined
  readonly current: ReadCredential
  /** The principal that a response named, until it is known whose credential the response was about. */
  readonly observed: PrincipalId | undefined
  readonly answer: Answer | undefined
  /** Whether the credential took longer than its time limit: it is not read again. */
  readonly isSilent: boolean
}

/** No credential. */
export const none: ReadCredential = { found: undefined, known: undefined }

/** A credential that is there and cannot be read. */
export const unreadable: ReadCredential = { found: Credential.unreadable, known: undefined }

/**
 * The credential after a logout that another process was part of: the current claim may be that of somebody who logged
 * in since, so the command is nobody's.
 */
export const nobodys: ReadCredential = {
  found: { source: "environment", secret: Redacted.make("") },
  known: undefined
}

export const idle: StitchState = {
  phase: "Idle",
  isOpen: false,
  initial: undefined,
  current: none,
  observed: undefined,
  answer: undefined,
  isSilent: false
}

/** Returns what the rules ask of a credential. */
export const facts = ({ found, known }: ReadCredential): CredentialFacts => ({
  source: found?.source ?? "none",
  knownAs: known?._tag === "Principal" ? known.principal : undefined
})

/** Returns whether a credential that was read is a given one. */
export const is = ({ found }: ReadCredential, credential: Credential.Credential): boolean =>
  found !== undefined && Credential.key(found) === Credential.key(credential)

/** Returns whether another process has replaced or removed the credential that the command began with. */
export const hasChanged = ({ current, initial }: StitchState): boolean =>
  initial?.found !== undefined && !is(current, initial.found)

// == transitions

/** The command begins with a credential. @category transitions */
export const begun = (state: StitchState, initial: ReadCredential): StitchState => ({ ...state, initial })

/** The credential was read. @category transitions */
export const read = (state: StitchState, current: ReadCredential): StitchState => ({ ...state, current })

/** The credential took too long. @category transitions */
export const silenced = (state: StitchState): StitchState => ({ ...state, isSilent: true })

/** The identity is read from here on. @category transitions */
export const opened = (state: StitchState): StitchState => ({
  ...state,
  isOpen: true,
  phase: state.phase === "Idle" ? "Open" : state.phase
})

/** The principal of the current credential is known. @category transitions */
export const identified = (state: StitchState, principal: PrincipalId): StitchState => ({
  ...state,
  current: { found: state.current.found, known: { _tag: "Principal", principal } }
})

/** The API answered, or its time is over. @category transitions */
export const answered = (state: StitchState, answer: Answer): StitchState => ({ ...state, answer })

/** A response named a principal. @category transitions */
export const observed = (state: StitchState, principal: PrincipalId | undefined): StitchState => ({
  ...state,
  observed: principal
})

/** A login stored a credential: the command begins anew with it. @category transitions */
export const signedIn = (state: StitchState, credential: ReadCredential): StitchState => ({
  ...state,
  phase: "Open",
  initial: credential,
  current: credential,
  observed: undefined
})

/** A logout begins. @category transitions */
export const signingOut = (state: StitchState): StitchState => ({
  ...state,
  phase: state.phase === "SignedOut" ? "SignedOut" : "SigningOut"
})

/** A logout has ended. @category transitions */
export const signedOut = (state: StitchState, current: ReadCredential): StitchState => ({
  ...state,
  phase: "SignedOut",
  current
})

/** A logout while consent is denied or cannot be read: nothing is known any more. @category transitions */
export const forgotten = (state: StitchState): StitchState => ({
  ...state,
  phase: "SignedOut",
  initial: undefined,
  current: none
})
