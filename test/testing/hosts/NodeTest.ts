/**
 * A contract as `node:test` runs it.
 */
import * as Effect from "effect/Effect"
import { describe, it } from "node:test"
import * as FixedPrincipalResolver from "../../../src/layers/FixedPrincipalResolver.ts"
import { PrincipalResolverContract } from "../../../src/testing/index.ts"

const users = (principal: string | undefined) =>
  Effect.succeed({
    principal: "account_1",
    loggedIn: FixedPrincipalResolver.layer(principal),
    loggedOut: FixedPrincipalResolver.layerNone,
    unanswered: FixedPrincipalResolver.layer(undefined)
  })

PrincipalResolverContract.suite("right", users("account_1"), { describe, it })
PrincipalResolverContract.suite("wrong", users("account_2"), { describe, it })
