using Polly;
using Polly.Retry;

namespace Glm.Hub;

/// <summary>Repeats what failed for the moment: exponential backoff with jitter, or what the hub asks for, a bounded number of times.</summary>
internal sealed class Retries
{
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(30);

    private readonly ResiliencePipeline _pipeline;
    private readonly HubOptions _options;

    public Retries(HubOptions options, Action<string> note)
    {
        _options = options;
        _pipeline = new ResiliencePipelineBuilder().AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<TransientException>(),
            MaxRetryAttempts = options.Retries,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = options.FirstDelay,
            MaxDelay = LongestBackoff,
            DelayGenerator = retry => ValueTask.FromResult((retry.Outcome.Exception as TransientException)?.RetryAfter),
            OnRetry = retry =>
            {
                note($"{retry.Outcome.Exception?.Message}; again in {retry.RetryDelay.TotalSeconds:F0} s");
                return default;
            },
        }).Build();
    }

    /// <exception cref="GlmException">The last attempt failed as the first, or the hub asks for too long a wait.</exception>
    public async Task<T> RunAsync<T>(Func<CancellationToken, Task<T>> attempt, CancellationToken cancellation)
    {
        int attempts = 0;
        try
        {
            return await _pipeline.ExecuteAsync(async token =>
            {
                attempts++;
                try
                {
                    return await attempt(token).ConfigureAwait(false);
                }
                catch (TransientException error) when (error.RetryAfter > _options.LongestDelay)
                {
                    throw new GlmException($"{error.Message}, and is asked to wait for {error.RetryAfter.Value.TotalSeconds:F0} s", error);
                }
            }, cancellation).ConfigureAwait(false);
        }
        catch (TransientException error)
        {
            throw new GlmException($"{error.Message} ({attempts} attempts)", error);
        }
    }
}
