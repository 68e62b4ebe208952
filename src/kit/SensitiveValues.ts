/** Values that may say something about a person or a machine. */
import * as Predicate from "effect/Predicate"
import * as Net from "node:net"
import { isUuid } from "../domain/Message.ts"
import { isReserved } from "../domain/UsageEvent.ts"

/** What a value looks like. */
export type Kind = "email" | "path" | "token" | "address"

const email = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[a-z]{2,24}(?![\w-])/i

const url = /(?<![\w+.-])[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/]/i

// Absolute paths, those of a home, a drive or a share, and those that begin at the working directory or above it.
const path = /(?:^|[\s"'`=(:,])(?:~?\/[\w.@-]|\.{1,2}[\\/]|[a-z]:[\\/]|\\\\\w)/i

// A credential by what it begins with; one that begins with a usual word has a digit.
const credential =
  /(?<![a-z0-9])(?:(?:sk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[a-z]|phx)[-_][\w-]{8,}|(?:pk|rk|npm|hf|pat|token|secret|key)[-_](?=[\w-]*\d)[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}|bearer\s+\S{8,})/i

// A credential that no API gives to its accounts as an id: an id may begin with `key_`, or be a random word.
const credentialAsId =
  /^(?:(?:sk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[a-z]|phx)[-_][\w-]{8,}|eyJ[\w-]{10,}\.[\w-]{10,}|bearer\s+\S{8,})/i

/** Returns whether the id of an account is a credential, such as the one that the user logged in with. */
export const isCredential = (id: string): boolean => credentialAsId.test(id)

// A random word: hexadecimal, or capitals, small letters and digits in one.
const isRandom = (word: string): boolean =>
  !isUuid(word) && (
    (word.length >= 32 && /^[0-9a-f]+$/i.test(word) && /\d/.test(word)) ||
    (word.length >= 20 && /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d.*\d/.test(word))
  )

const isMachine = (word: string): boolean =>
  word.length > 3 && [word, word.replace(/^\[|\]?:\d+$|\]$/g, "")].some((word) => Net.isIP(word) !== 0)

const kindOf = (text: string): Kind | undefined => {
  const words = text.split(/[\s,;'"`()<>=|]+/)
  if (email.test(text)) return "email"
  if (url.test(text) || words.some(isMachine)) return "address"
  if (path.test(text)) return "path"
  return credential.test(text) || words.some((word) => /^[\w+/=.~-]+$/.test(word) && isRandom(word))
    ? "token"
    : undefined
}

// Ids that a rule of their own looks at.
const ids = new Set(["distinct_id", "alias", "$anon_distinct_id"])

/**
 * Returns the places of an event's own values that look like an e-mail address, a path, a token or an address, by their
 * properties.
 */
export const find = (
  properties: Readonly<Record<string, unknown>>
): ReadonlyArray<{ readonly kind: Kind; readonly at: string }> => {
  const found: Array<{ kind: Kind; at: string }> = []
  const visit = (value: unknown, at: string): void => {
    if (Predicate.isString(value)) {
      const kind = kindOf(value)
      if (kind !== undefined) found.push({ kind, at })
    } else if (typeof value === "object" && value !== null) {
      for (const [name, part] of Object.entries(value)) visit(part, Array.isArray(value) ? at : `${at}.${name}`)
    }
  }
  for (const [name, value] of Object.entries(properties)) {
    if (!isReserved(name) && !ids.has(name)) visit(value, name)
  }
  return found
}
