/**
 * The contract of `PrincipalResolver` as tests, for a resolver of a host's own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Assert from "node:assert/strict"
import * as Credential from "../domain/Credential.ts"
import * as CredentialText from "../layers/CredentialText.ts"
import * as NodeDisk from "../layers/NodeDisk.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import * as Contract from "./Contract.ts"

/**
 * The users that a resolver is tested with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Users {
  /** The resolver of a user who is logged in to `principal`. */
  readonly loggedIn: Layer.Layer<PrincipalResolver>
  readonly principal: string
  /** The resolver of a user without a credential. */
  readonly loggedOut: Layer.Layer<PrincipalResolver>
  /** The resolver of a user with a credential that the API does not answer for: revoked, or the network is down. */
  readonly unanswered: Layer.Layer<PrincipalResolver>
}

const keyOf = (credential: Credential.Credential | undefined) =>
  credential && [credential.source, Credential.key(credential)]

const credentialOf = (layer: Layer.Layer<PrincipalResolver>) =>
  Effect.gen(function*() {
    const resolver = yield* Contract.start(PrincipalResolver, layer)
    const credential = yield* resolver.credential
    if (credential === undefined) return Assert.fail("there is no credential")
    return { ...resolver, credential }
  })

/** What a command parses, in the place of `credential`, from an input that it does not know. */
const parsed = ({ credential, input }: PrincipalResolver["Service"]) => {
  if (input === undefined) return credential
  const text = CredentialText.read(NodeDisk.disk, input)
  return text === undefined ? Effect.undefined : input.parse(CredentialText.decode(text))
}

const rules: Contract.Rules<Users> = {
  "The credential of a user who is logged in is read, and another process reads the same": Effect.fnUntraced(
    function*({ loggedIn }) {
      const one = yield* credentialOf(loggedIn)
      const two = yield* credentialOf(loggedIn)
      Assert.equal(Credential.isReadable(one.credential), true)
      Assert.deepEqual(keyOf(one.credential), keyOf(two.credential))
    }
  ),

  "The principal of a credential is the account that the user is logged in to, however often it is asked for": Effect
    .fnUntraced(function*({ loggedIn, principal }) {
      const { credential, resolve } = yield* credentialOf(loggedIn)
      const answers = yield* Effect.all([resolve(credential), resolve(credential)], { concurrency: 2 })
      Assert.deepEqual(answers, [principal, principal])
    }),

  "A user who is logged out has no credential": Effect.fnUntraced(function*({ loggedOut }) {
    const resolver = yield* Contract.start(PrincipalResolver, loggedOut)
    Assert.deepEqual(keyOf(yield* resolver.credential), undefined)
    Assert.deepEqual(keyOf(yield* parsed(resolver)), undefined)
  }),

  "A credential that the API does not answer for has no principal, and that is no failure": Effect.fnUntraced(
    function*({ unanswered }) {
      const { credential, resolve } = yield* credentialOf(unanswered)
      Assert.equal(yield* resolve(credential), undefined)
    }
  ),

  "What is parsed from the input of a credential is that credential": Effect.fnUntraced(function*({ loggedIn }) {
    const resolver = yield* Contract.start(PrincipalResolver, loggedIn)
    Assert.deepEqual(keyOf(yield* parsed(resolver)), keyOf(yield* resolver.credential))
  })
}

/**
 * Declares the tests of a resolver. The effect makes its users, once for each test; each build of a layer is a process.
 *
 * **Example** (Testing a resolver over a keychain)
 *
 * ```ts
 * import { PrincipalResolverContract } from "effect-cli-usage/testing"
 * import { describe, it } from "vitest"
 *
 * const users = Effect.succeed({
 *   principal: "account_1",
 *   loggedIn: KeychainResolver.layer({ token: "known" }),
 *   loggedOut: KeychainResolver.layer({ token: undefined }),
 *   unanswered: KeychainResolver.layer({ token: "revoked" })
 * })
 * PrincipalResolverContract.suite("KeychainResolver", users, { describe, it })
 * ```
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (
  name: string,
  users: Effect.Effect<Users, unknown, Scope.Scope>,
  runner: Contract.Runner
): void => Contract.declare(name, runner, users, rules)
