/**
 * The API that most hosts need: the layer, `track`, and the `telemetry` command.
 *
 * @since 0.1.0
 */
export { layer, type Options, type Usage as Services } from "../layers/NodeUsage.ts"
export { annotateCommand, type HasValues, withFlagValues } from "./Annotations.ts"
export { type Options as TrackOptions, track, trackEffect, Untracked } from "./CommandTracking.ts"
export { command as telemetryCommand } from "./TelemetryCommand.ts"
