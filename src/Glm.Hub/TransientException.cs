namespace Glm.Hub;

/// <summary>A failure that another attempt may mend; after the last one its message becomes that of a <see cref="GlmException"/>.</summary>
/// <param name="message">The file, what was expected, what was found.</param>
/// <param name="retryAfter">How long the hub asked to wait.</param>
/// <param name="inner">The cause.</param>
internal sealed class TransientException(string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    public TimeSpan? RetryAfter { get; } = retryAfter;
}

/// <summary>The hub has answered a request for a range of a file with something else than the range.</summary>
internal sealed class RangesRefusedException() : Exception("the hub does not serve ranges of this file");
