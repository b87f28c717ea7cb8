using Microsoft.AspNetCore.Http;

namespace Glm.Server;

/// <summary>A request that gets an error in OpenAI's form. Its message goes to the client.</summary>
internal sealed class ApiException(int status, string type, string message, string? parameter = null, string? code = null) : Exception(message)
{
    public int Status { get; } = status;

    public string Type { get; } = type;

    public string? Parameter { get; } = parameter;

    public string? Code { get; } = code;

    /// <summary>When to try again.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static ApiException Invalid(string message, string? parameter = null) => new(StatusCodes.Status400BadRequest, "invalid_request_error", message, parameter);

    public static ApiException TooLong() => new(StatusCodes.Status413PayloadTooLarge, "invalid_request_error", "the body is larger than this server takes", null, "body_too_large");

    public static ApiException TooMany(string message, string code, TimeSpan retryAfter) =>
        new(StatusCodes.Status429TooManyRequests, "rate_limit_error", message, null, code) { RetryAfter = retryAfter };
}
