/** Values that may say something about a person or a machine. */
import * as Predicate from "effect/Predicate"
import * as Net from "node:net"
import { isUuid } from "../domain/Message.ts"
import { isReserved } from "../domain/UsageEvent.ts"
import * as Persons from "../testing/Persons.ts"
import type { ReceivedMessage } from "../testing/PostHogSink.ts"

/** What a value looks like. */
export type Kind = "email" | "path" | "token" | "address"

const email =
  /[\p{L}\p{N}_.+-]{1,64}(?:@|%40)[\p{L}\p{N}_-]{1,63}(?:\.[\p{L}\p{N}_-]{1,63}){0,8}\.(?:\p{L}{2,24}|xn--[a-z0-9-]{2,59})(?![\p{L}\p{N}_-])/iu

const url = /(?<![\w+.-])[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/]/i

// Absolute paths, those of a home, a drive or a share, those that begin at the working directory or above it, the URL of a
// file, as in each line of a stack, and behind brackets a path of more than one part: `</div>` is none.
const path =
  /(?:^|[\s"'`=(:,[])(?:(?:~[a-z_][\w-]*|~)?\/[\p{L}\p{N}_.@-]|\.{1,2}[\\/]|[a-z]:[\\/]|\\\\[\p{L}\p{N}_])|[<>|{;]~?\/[\p{L}\p{N}_.@-]+\/[\p{L}\p{N}_.@-]|\bfile:\/\/|\$(?:HOME|PWD|TMPDIR)\b|%(?:APPDATA|HOMEPATH|TEMP|USERPROFILE)%/iu

// A credential by what it begins with.
const credential =
  /(?<![a-z0-9])(?:(?:sk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[a-z]|phx)[-_][\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}|bearer\s+\S{8,}|-----BEGIN [a-z ]*PRIVATE KEY)/i

// A value that begins with a usual word, as some credentials do, and has a digit.
const likeCredential = /(?<![a-z0-9])(?:pk|rk|npm|hf|pat|token|secret|key)[-_](?=[\w-]*\d)[\w-]{8,}/i

const basic = /\b[Bb]asic\s+(?=[\w+/]*[a-z])(?=[\w+/]*[A-Z])(?=[\w+/]*[\d=])[\w+/]{8,}={0,2}(?![\w-])/

// A credential that no API gives to its accounts as an id: an id may begin with `key_`, or be a random word.
const credentialAsId =
  /^(?:(?:sk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[a-z]|phx)[-_][\w-]{8,}|eyJ[\w-]{10,}\.[\w-]{10,}|bearer\s+\S{8,})/i

/** Returns whether the id of an account is a credential, such as the one that the user logged in with. */
export const isCredential = (id: string): boolean => credentialAsId.test(id)

const hexadecimal = /(?<![0-9a-f])(?=[a-f]*\d)[0-9a-f]{32,}(?![0-9a-f])/i

// A random word: capitals, small letters and digits in one.
const isRandom = (word: string): boolean =>
  !isUuid(word) && word.length >= 20 && /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d.*\d/.test(word)

const isMachine = (word: string): boolean =>
  word.length > 3 && /\d/.test(word) &&
  [word, word.replace(/^\[|\]?:\d+$|\]$/g, "")].some((word) => Net.isIP(word) !== 0)

const wordsOf = (text: string): ReadonlyArray<string> => text.split(/[\s,;'"`()<>=|]+/)

// Without the user before an address, and the mask or path behind it.
const hostOf = (word: string): string => word.replace(/^(?:root|admin|ubuntu|ec2-user)@/, "").replace(/\/.*$/, "")

// A name in a program may have a usual word and a digit, or be a long word of capitals and digits.
const kindOf = (text: string, isName: boolean): Kind | undefined => {
  const words = wordsOf(text)
  if (email.test(text)) return "email"
  if (url.test(text) || words.some((word) => isMachine(word) || isMachine(hostOf(word)))) return "address"
  if (path.test(text)) return "path"
  if (credential.test(text) || hexadecimal.test(text)) return "token"
  const isLikeToken = !isName && (likeCredential.test(text) || basic.test(text) ||
    words.some((word) => /^[\w+/=.~-]+$/.test(word) && isRandom(word)))
  return isLikeToken ? "token" : undefined
}

// Ids that a rule of their own looks at.
const ids = new Set(["distinct_id", "alias", "$anon_distinct_id"])

/** Returns the places of an event that look like an e-mail address, a path, a token or an address. */
export const find = (
  message: ReceivedMessage
): ReadonlyArray<{ readonly kind: Kind; readonly at: string }> => {
  const { $set, $set_once, event, properties } = message
  const isMerge = Persons.otherId(message) !== undefined
  const found: Array<{ kind: Kind; at: string }> = []
  const visit = (value: unknown, at: string, isName = false): void => {
    if (Predicate.isString(value)) {
      const kind = kindOf(value, isName)
      if (kind !== undefined) found.push({ kind, at })
    } else if (typeof value === "object" && value !== null) {
      for (const [name, part] of Object.entries(value)) {
        if (!Array.isArray(value)) visit(name, `a name in ${at}`, true)
        visit(part, Array.isArray(value) ? at : `${at}.${name}`)
      }
    }
  }
  visit(event, "its name", true)
  visit(properties["command_name"], "command_name", true)
  for (const [name, value] of Object.entries({ $set, $set_once, ...properties })) {
    if (isReserved(name) || (isMerge && ids.has(name))) continue
    visit(name, "the name of a property", true)
    visit(value, name)
  }
  return found
}
