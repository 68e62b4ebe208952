/**
 * The notice on stderr, once: `usage/notice` remembers it.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { keepsNothing } from "../domain/Runtime.ts"
import { Notice } from "../services/Notice.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

/**
 * Shows the notice on stderr, once on a device, where stderr is a terminal.
 *
 * Nobody reads one in CI, and where nothing is kept it would be shown every time.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (text: string): Layer.Layer<Notice, never, StateFiles | RuntimeEnvironment> =>
  Layer.effect(
    Notice,
    Effect.gen(function*() {
      const files = yield* StateFiles
      const runtime = yield* RuntimeEnvironment
      return Notice.of({
        show: !runtime.stderrIsTerminal || keepsNothing(runtime) ? Effect.void : Effect.gen(function*() {
          if ((yield* files.read(files.home.notice))._tag !== "Missing") return
          if (yield* files.publish(files.home.notice, "")) yield* Console.error(text)
        }).pipe(quietly("the notice was not shown", undefined))
      })
    })
  )

/**
 * No notice.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<Notice> = Layer.succeed(Notice, Notice.of({ show: Effect.void }))
