/** Errors that a command prints to its user. */
import * as CliError from "effect/cli/CliError"

export const userError = (userMessage: string, cause: unknown = userMessage): CliError.UserError =>
  new CliError.UserError({ cause, userMessage })
