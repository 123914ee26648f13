import type { components } from '../api/generated';
import type { GenOpsApi } from '../core';
import { everyPage } from '../core';

type Schemas = components['schemas'];
export type IProfile = Schemas['Profile'];
export type IProfileSummary = Schemas['ProfileSummary'];
export type IDeviceTime = Schemas['DeviceTime'];
export type IIdleTime = Schemas['IdleTime'];
export type IStepTime = Schemas['StepTime'];
export type IOperatorTime = Schemas['OperatorTime'];
export type IKernelTime = Schemas['KernelTime'];
export type IOperatorWork = Schemas['OperatorWork'];
export type IRoofline = Schemas['Roofline'];
export type IAttribution = Schemas['Attribution'];
export type ILineTime = Schemas['LineTime'];
export type IPlace = Schemas['Place'];
export type IFlame = Schemas['Flame'];
export type IFlameNode = Schemas['FlameNode'];
export type IDifference = Schemas['Difference'];
export type IChange = Schemas['Change'];
export type IFigure = Schemas['Figure'];
export type IMeasurement = Schemas['Measurement'];
export type IMeasuredKernel = Schemas['MeasuredKernel'];
export type IKernelRule = Schemas['KernelRule'];
export type IKernelMetrics = Schemas['KernelMetrics'];
export type IKernelMetric = Schemas['KernelMetric'];
export type IAdvice = IProfileSummary['advice'][number];

/** Requests about profiles. Each call rejects with an ApiError. */
export class ProfilesService {
  constructor(private _api: GenOpsApi) {}

  /** All profiles, newest first, without their summaries. */
  list(signal?: AbortSignal): Promise<IProfile[]> {
    return everyPage(
      query =>
        this._api.data(
          this._api.http.GET('/profiles', { params: { query }, signal })
        ),
      ({ id }) => id,
      signal
    );
  }

  /** A profile with its summary. */
  get(id: string, signal?: AbortSignal): Promise<IProfile> {
    return this._api.data(
      this._api.http.GET('/profiles/{profile_id}', {
        params: { path: { profile_id: id } },
        signal
      })
    );
  }

  /** The call tree of its trace, or of a rank. */
  flame(
    id: string,
    rank: number | null,
    signal?: AbortSignal
  ): Promise<IFlame> {
    return this._api.data(
      this._api.http.GET('/profiles/{profile_id}/flame', {
        params: { path: { profile_id: id }, query: { rank } },
        signal
      })
    );
  }

  /**
   * All metrics of a launch, by its number in the report, or in that of a rank.
   */
  kernelMetrics(
    id: string,
    rank: number | null,
    launch: number,
    signal?: AbortSignal
  ): Promise<IKernelMetrics> {
    return this._api.data(
      this._api.http.GET('/profiles/{profile_id}/kernels/{number}', {
        params: {
          path: { profile_id: id, number: String(launch) },
          query: { rank }
        },
        signal
      })
    );
  }

  /** Copy its trace from its target; the task has the progress. */
  fetchTrace(id: string): Promise<Schemas['Task']> {
    return this._api.data(
      this._api.http.POST('/profiles/{profile_id}/trace', {
        params: { path: { profile_id: id } }
      })
    );
  }

  /** The difference of two profiles. */
  difference(
    before: string,
    after: string,
    signal?: AbortSignal
  ): Promise<IDifference> {
    return this._api.data(
      this._api.http.GET('/profiles/difference', {
        params: { query: { before, after } },
        signal
      })
    );
  }

  /** Delete a profile. The answer says which part of its trace stays. */
  delete(id: string): Promise<Schemas['DeletedProfile']> {
    return this._api.data(
      this._api.http.DELETE('/profiles/{profile_id}', {
        params: { path: { profile_id: id } }
      })
    );
  }
}
