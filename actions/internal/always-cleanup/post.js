// Runs when the job is over: after a failure, after a cancel, and when a step was killed before it could clean up.
// It knows no machine: the program computes the names again, and leaves alone what a person keeps. It only warns,
// because the job's result is the tests' result; the cleanup job and the sweeper come after it.
'use strict'

const { spawn } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')

// The program gives up after 240 s. A cancelled job has 285 s in all (actions/runner, JobDispatcher.cs).
const LIMIT_MS = Number(process.env.ACCEL_CI_POST_LIMIT_MS) || 255_000
const KILL_MS = 2_500

function warn(text) {
  const data = text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
  process.stdout.write(`::warning title=accel-ci always-cleanup::${data}\n`)
}

function program() {
  return join(process.env.RUNNER_TEMP || '', 'accel-ci', 'bin', 'accel-ci')
}

function environment() {
  // Nothing of the job's inputs or outputs: what a later step wrote there could lead cleanup astray.
  const { ACCEL_CI_INPUTS, GITHUB_OUTPUT, ...kept } = process.env
  return { ...kept, ACCEL_CI_MATRIX: process.env.STATE_matrix || '{}', ACCEL_CI_STRATEGY: process.env.STATE_strategy || '{}' }
}

function cleanUp(path) {
  const child = spawn(path, ['cleanup'], { env: environment(), stdio: 'inherit' })
  const limit = setTimeout(() => {
    warn(`cleanup did not end in ${LIMIT_MS / 1000} s: look at the log above, and at the cleanup job's`)
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), KILL_MS).unref()
  }, LIMIT_MS)
  // The runner signals us alone, and a cleanup that was told to stop goes on for as long as it may.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    clearTimeout(limit)
    warn(`cleanup could not be started: ${error.message}`)
  })
  child.on('exit', (code, signal) => {
    clearTimeout(limit)
    if (code !== 0) warn(`cleanup ended with ${signal || `exit code ${code}`}: a machine may still live, see the log above`)
    process.exit(0)
  })
}

if (existsSync(program())) cleanUp(program())
else warn('the program is not on this runner, so this job leased nothing with it and there is nothing to end')
