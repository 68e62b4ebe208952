import { assert, describe, it } from "@effect/vitest"
import * as ErrorClass from "../../src/cli/ErrorClass.ts"

const named = (name: string): object => {
  const constructor = function() {}
  Object.defineProperty(constructor, "name", { value: name })
  return Object.create({ constructor })
}

describe("the class of an error", () => {
  it("The class of an error is its tag, else its constructor's name", () => {
    assert.strictEqual(ErrorClass.ofError({ _tag: "@acme/cli/NotFound" }), "@acme/cli/NotFound")
    assert.strictEqual(ErrorClass.ofError(named("NotFound")), "NotFound")
  })

  it("The class of an error is never a text that an error may hold", () => {
    for (const text of ["no such file: /home/me/secret", "token=secret", "two words", "", "x".repeat(101)]) {
      assert.strictEqual(ErrorClass.ofError(Object.assign(new TypeError(), { _tag: text })), "TypeError")
      assert.strictEqual(ErrorClass.ofError(named(text)), "Error")
      assert.strictEqual(ErrorClass.ofError(text), "Error")
    }
  })

  it("The class of an error is Error where a part of it cannot be read", () => {
    const get = (): never => {
      throw new Error("it cannot be read")
    }
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    for (
      const error of [
        Object.defineProperty(new TypeError(), "_tag", { get }),
        Object.defineProperty(new TypeError(), "constructor", { get }),
        Object.defineProperty(new Error(), "cause", { get }),
        proxy
      ]
    ) {
      assert.strictEqual(ErrorClass.ofError(error), "Error")
    }
  })
})
