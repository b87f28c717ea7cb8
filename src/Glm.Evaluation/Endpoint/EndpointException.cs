using System.Net;

namespace Glm.Evaluation;

/// <summary>A request that an endpoint did not answer as it should: the error of an item, or of the run (<see cref="GlmException"/>).</summary>
/// <param name="message">The endpoint, what was expected, what was found; one line.</param>
/// <param name="status">The status of its answer; null where there was none.</param>
/// <param name="inner">The cause.</param>
internal class EndpointException(string message, HttpStatusCode? status = null, Exception? inner = null) : Exception(message, inner)
{
    public HttpStatusCode? Status { get; } = status;

    /// <summary>Whether no other request will fare better: the key, the address or the model is wrong.</summary>
    public bool IsFinal => Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.PaymentRequired or HttpStatusCode.NotFound;
}

/// <summary>A failure that another attempt may mend.</summary>
/// <param name="message">The endpoint, what was expected, what was found.</param>
/// <param name="status">The status of the answer.</param>
/// <param name="retryAfter">How long the endpoint asked to wait.</param>
/// <param name="inner">The cause.</param>
internal sealed class TransientEndpointException(string message, HttpStatusCode? status = null, TimeSpan? retryAfter = null, Exception? inner = null) : EndpointException(message, status, inner)
{
    public TimeSpan? RetryAfter { get; } = retryAfter;
}
