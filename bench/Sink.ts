/**
 * PostHog on loopback, outside Effect: the bench is a script.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { setTimeout as sleep } from "node:timers/promises"
import * as PostHogSink from "../src/testing/PostHogSink.ts"

export const open = async (
  options: { readonly hangs?: boolean; readonly tls?: { readonly key: string; readonly cert: string } } = {}
) => {
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
    /** How many messages it has accepted. */
    count,
    /** Waits until it has accepted so many, or for a while; gives how many there are. */
    reaches: async (wanted: number, limitMillis: number): Promise<number> => {
      const deadline = performance.now() + limitMillis
      while ((await count()) < wanted && performance.now() < deadline) await sleep(20)
      return await count()
    },
    close: (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

export type Sink = Awaited<ReturnType<typeof open>>
