/** A contract of a service as tests, for any test runner. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"

/**
 * The two functions of a test runner that a contract needs: those of Vitest, Jest, Bun and `node:test` will do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runner {
  readonly describe: (title: string, body: () => void) => unknown
  readonly it: (title: string, run: () => Promise<void>) => unknown
}

/** Each rule of a contract, by the sentence that says it. */
export type Rules<Subject> = Readonly<Record<string, (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>>>

/** Builds a layer anew: another process has services of its own. */
export const start = <I, S>(
  service: Context.Key<I, S>,
  layer: Layer.Layer<I>
): Effect.Effect<S, never, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, service))

/** Declares one test a rule, each with a subject of its own, under a clock that the rule sets. */
export const declare = <Subject>(
  name: string,
  { describe, it }: Runner,
  subject: Effect.Effect<Subject, unknown, Scope.Scope>,
  rules: Rules<Subject>
): void =>
  void describe(name, () => {
    for (const [title, rule] of Object.entries(rules)) {
      it(title, () =>
        Effect.runPromise(Effect.flatMap(subject, rule).pipe(Effect.scoped, Effect.provide(TestClock.layer()))))
    }
  })
