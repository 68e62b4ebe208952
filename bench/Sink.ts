/**
 * PostHog on loopback, outside Effect: the bench is a script.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { setTimeout as sleep } from "node:timers/promises"
import * as PostHogSink from "../src/testing/PostHogSink.ts"

export interface Sink {
  readonly url: string
  /** How many messages it has accepted. */
  readonly count: () => Promise<number>
  /** Waits until it has accepted so many, or for a while; gives how many there are. */
  readonly reaches: (count: number, limitMillis: number) => Promise<number>
  readonly close: () => Promise<void>
}

export const open = async (
  options: { readonly hangs?: boolean; readonly tls?: { readonly key: string; readonly cert: string } } = {}
): Promise<Sink> => {
  const scope = await Effect.runPromise(Scope.make())
  const { hangs = false, tls } = options
  const sink = await Effect.runPromise(
    Scope.provide(PostHogSink.make(tls === undefined ? {} : { tls }), scope)
  )
  // Not every peer sends what PostHog would take as it is.
  await Effect.runPromise(sink.answer(hangs ? PostHogSink.Answer.Hang() : PostHogSink.Answer.Ok({})))
  const count = async (): Promise<number> => (await Effect.runPromise(sink.messages)).length
  return {
    url: sink.url,
    count,
    reaches: async (wanted, limitMillis) => {
      const deadline = performance.now() + limitMillis
      while ((await count()) < wanted && performance.now() < deadline) await sleep(20)
      return await count()
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
