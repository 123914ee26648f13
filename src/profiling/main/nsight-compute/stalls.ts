/**
 * Explain stall reasons: the names are NVIDIA's, the advice is for user code.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

interface IReason {
  readonly name: string;
  /** Its meaning, and what to change. */
  readonly means: string;
}

/**
 * A reason by its metric name (`long_scoreboard`); an unknown one is shown as
 * it is.
 */
export function stallReason(reason: string, trans: TranslationBundle): IReason {
  const words: Record<string, IReason> = {
    long_scoreboard: {
      name: trans.__('Global or local memory'),
      means: trans.__(
        'The warp waits for a value from L2 or device memory. Load it earlier (prefetch, more stages), let neighbouring threads read neighbouring values, or keep reused values in shared memory.'
      )
    },
    short_scoreboard: {
      name: trans.__('Shared memory or special functions'),
      means: trans.__(
        'The warp waits for shared memory or a function such as exp or sin. Bank conflicts make the wait longer. Use fewer such operations, or put more work between them.'
      )
    },
    lg_throttle: {
      name: trans.__('Queue of global memory'),
      means: trans.__(
        'Too many loads and stores to global or local memory at once. Use wider accesses (128 bits per thread). Spilled registers count too.'
      )
    },
    mio_throttle: {
      name: trans.__('Queue of shared memory'),
      means: trans.__(
        'Too many shared memory accesses, special functions or dynamic branches at once. Use wider or fewer of them, and avoid bank conflicts.'
      )
    },
    tex_throttle: {
      name: trans.__('Queue of textures'),
      means: trans.__(
        'Too many texture or surface accesses, or 64-bit arithmetic on a device with few 64-bit units. Use fewer or wider accesses, or 32 bits.'
      )
    },
    math_pipe_throttle: {
      name: trans.__('Arithmetic unit busy'),
      means: trans.__(
        'Other warps use the unit for the next operation. This is good where arithmetic is the limit; otherwise mix kinds of operations, or use tensor cores.'
      )
    },
    barrier: {
      name: trans.__('Barrier of the block'),
      means: trans.__(
        'The warp waits until all warps of the block reach __syncthreads. Give warps equal work between barriers, or use smaller blocks or fewer barriers.'
      )
    },
    membar: {
      name: trans.__('Memory fence'),
      means: trans.__(
        'The warp waits until other threads can see its writes (__threadfence). Use fewer or narrower fences.'
      )
    },
    branch_resolving: {
      name: trans.__('Branch'),
      means: trans.__(
        'The warp waits for the target of a branch. Use fewer branches, or unroll loops.'
      )
    },
    dispatch_stall: {
      name: trans.__('Dispatch'),
      means: trans.__(
        'The hardware delays the instruction, mostly because of register conflicts.'
      )
    },
    drain: {
      name: trans.__('Final stores'),
      means: trans.__(
        'The warp has ended, but its stores are not finished. Write wide and contiguous, and spread stores over the kernel.'
      )
    },
    imc_miss: {
      name: trans.__('Constant memory'),
      means: trans.__(
        'The warp waits for a constant or kernel argument that is not in the cache. Short kernels suffer most.'
      )
    },
    no_instruction: {
      name: trans.__('Instruction fetch'),
      means: trans.__(
        'The warp waits for instructions: the code is not in the cache, or jumps far. Use smaller code (less unrolling) or longer kernels.'
      )
    },
    not_selected: {
      name: trans.__('Another warp was chosen'),
      means: trans.__(
        'The warp was ready, but the scheduler chose another one. There are enough warps: trade occupancy for more work per thread.'
      )
    },
    selected: {
      name: trans.__('Issued'),
      means: trans.__('The warp issued an instruction: this is not a stall.')
    },
    sleeping: {
      name: trans.__('Asleep'),
      means: trans.__('The code put the threads to sleep (nanosleep).')
    },
    wait: {
      name: trans.__('Fixed latency'),
      means: trans.__(
        'The warp waits for the fixed latency of the previous operation. Give each thread more independent work.'
      )
    },
    gmma: {
      name: trans.__('Tensor cores (warp groups)'),
      means: trans.__(
        'The warp waits for the matrix product of a warp group. This is good where tensor cores are the limit; otherwise start the next product earlier.'
      )
    },
    misc: {
      name: trans.__('Other'),
      means: trans.__('A rare stall of the hardware.')
    }
  };
  return (
    words[ALIASES[reason] ?? reason] ?? {
      name: reason.replace(/_/g, ' '),
      means: ''
    }
  );
}

/** Names that differ between kinds of metrics and versions. */
const ALIASES: Record<string, string> = {
  no_instructions: 'no_instruction',
  dispatch: 'dispatch_stall',
  math_throttle: 'math_pipe_throttle',
  no_inst: 'no_instruction',
  warpgroup_arrive: 'gmma'
};
