namespace Glm.Training;

/// <summary>What a finished run tells about scaling.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Parameters">Number of its model's parameters.</param>
/// <param name="Tokens">Tokens through the model, padding included.</param>
/// <param name="Flops">Model FLOPs spent.</param>
/// <param name="Loss">Held-out loss at the end, nats per token, the mean of the sources.</param>
public sealed record ScalingRun(string Name, long Parameters, double Tokens, double Flops, double Loss)
{
    /// <summary>Sums up the log of a run.</summary>
    /// <param name="run">The run.</param>
    /// <param name="parameters">Number of its model's parameters.</param>
    /// <param name="seqLength">Tokens of a row.</param>
    /// <exception cref="GlmException">No held-out loss was measured at its last step.</exception>
    public static ScalingRun Of(RunRecord run, long parameters, int seqLength)
    {
        if (run.Steps[^1].Validation is not { Length: > 0 } validation)
            throw new GlmException($"{run.Name}: expected held-out losses at its last step, {run.Steps[^1].Step}, found none; give the run `validation` and let it finish");
        double flops = run.Steps.Sum(step => step.TokensPerSecond > 0 ? (double)seqLength * step.Batch * step.FlopsPerSecond / step.TokensPerSecond : 0);
        return new ScalingRun(run.Name, parameters, (double)run.Steps[^1].Samples * seqLength, flops, validation.Average());
    }
}
