/** Why warps wait, in words: the reasons are NVIDIA's, what they mean for a person's code is said here. */
import type { TranslationBundle } from '@jupyterlab/translation';

interface IReason {
  readonly name: string;
  /** What it means, and what to change. */
  readonly means: string;
}

/** A reason by its name in the metrics (`long_scoreboard`); one that is not known here is shown as it is. */
export function stallReason(reason: string, trans: TranslationBundle): IReason {
  const words: Record<string, IReason> = {
    long_scoreboard: {
      name: trans.__('Global or local memory'),
      means: trans.__(
        'Waits for a value from L2 or the device’s memory. Read it earlier (prefetch, more stages), let neighbouring threads read neighbouring values, or keep what is used again in shared memory.'
      )
    },
    short_scoreboard: {
      name: trans.__('Shared memory or special functions'),
      means: trans.__(
        'Waits for shared memory, exp, sin and the like. Bank conflicts make it longer; fewer such operations or more work between them make it shorter.'
      )
    },
    lg_throttle: {
      name: trans.__('Queue of global memory'),
      means: trans.__(
        'Too many loads and stores to global or local memory at once. Use wider accesses (128 bits a thread); registers that spill count too.'
      )
    },
    mio_throttle: {
      name: trans.__('Queue of shared memory'),
      means: trans.__(
        'Too many accesses to shared memory, special functions or dynamic branches at once. Use wider or fewer ones, and avoid bank conflicts.'
      )
    },
    tex_throttle: {
      name: trans.__('Queue of textures'),
      means: trans.__(
        'Too many texture or surface accesses, or 64-bit arithmetic on a device with few units for it, wait in one queue. Use fewer or wider ones, or 32 bits.'
      )
    },
    math_pipe_throttle: {
      name: trans.__('Arithmetic unit busy'),
      means: trans.__(
        'The unit that the next operation needs is in use by others. Good where arithmetic is the bound; else mix kinds of operations, or use tensor cores.'
      )
    },
    barrier: {
      name: trans.__('Barrier of the block'),
      means: trans.__(
        'Waits until all warps of the block are there (__syncthreads). Give warps equal work between barriers, use smaller blocks or fewer barriers.'
      )
    },
    membar: {
      name: trans.__('Memory fence'),
      means: trans.__(
        'Waits until its own writes can be seen by others (__threadfence). Use fewer fences, or narrower ones.'
      )
    },
    branch_resolving: {
      name: trans.__('Branch'),
      means: trans.__(
        'Waits until it is known where a branch goes. Fewer branches, or loops that are unrolled, help.'
      )
    },
    dispatch_stall: {
      name: trans.__('Dispatch'),
      means: trans.__(
        'The hardware holds the instruction back, mostly for conflicts of registers.'
      )
    },
    drain: {
      name: trans.__('Last writes'),
      means: trans.__(
        'The warp has ended, but its stores are on their way. Write wide and contiguous, and not all at the very end.'
      )
    },
    imc_miss: {
      name: trans.__('Constant memory'),
      means: trans.__(
        'Waits for a constant or a kernel argument that is not in its cache. Short kernels feel it most.'
      )
    },
    no_instruction: {
      name: trans.__('Instructions'),
      means: trans.__(
        'Waits for code: it is not in the cache, or jumps far. Smaller code helps (less unrolling), or longer kernels.'
      )
    },
    not_selected: {
      name: trans.__('Another warp’s turn'),
      means: trans.__(
        'Ready, but another warp was issued. There are warps enough: occupancy may be given up for more work a thread.'
      )
    },
    selected: {
      name: trans.__('Issued'),
      means: trans.__('The warp was issued: no wait.')
    },
    sleeping: {
      name: trans.__('Asleep'),
      means: trans.__('Its threads sleep by order of the code (nanosleep).')
    },
    wait: {
      name: trans.__('Fixed latency'),
      means: trans.__(
        'Waits the fixed time of the operation before. Independent work within a thread (more values a thread) fills it.'
      )
    },
    gmma: {
      name: trans.__('Tensor cores (warp groups)'),
      means: trans.__(
        'Waits for a product that a warp group started. Good where tensor cores are the bound; else start the next one earlier.'
      )
    },
    misc: {
      name: trans.__('Other'),
      means: trans.__('A rare reason of the hardware.')
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
