namespace Glm.Hub;

/// <summary>Which hub is asked, as whom, and how patiently.</summary>
public sealed record HubOptions
{
    /// <summary>The hub's address where nothing else is said.</summary>
    public const string PublicEndpoint = "https://huggingface.co";

    /// <summary>Environment variables: the hub's address, and the token that it gave its user.</summary>
    public const string EndpointVariable = "HF_ENDPOINT", TokenVariable = "HF_TOKEN";

    /// <summary>The hub's address, which may have a path of its own.</summary>
    public Uri Endpoint { get; init; } = new(PublicEndpoint);

    /// <summary>Sent to the endpoint's own origin alone, and never part of a message.</summary>
    internal string? Token { get; init; }

    /// <summary>Requests at a time.</summary>
    public int Connections { get; init; } = 8;

    /// <summary>Bytes of a file that one request asks for.</summary>
    internal long RangeBytes { get; init; } = 64L << 20;

    /// <summary>Attempts after the first, each a while longer after the last.</summary>
    internal int Retries { get; init; } = 6;

    internal TimeSpan FirstDelay { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>The longest wait that a hub may ask for.</summary>
    internal TimeSpan LongestDelay { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a connection may go without bringing <see cref="LeastBytes"/>.</summary>
    internal TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>What counts as progress: less of it within the timeout is a stall; a connection that breaks after <see cref="RenewingBytes"/> is no failure.</summary>
    internal int LeastBytes { get; init; } = 16 << 10;

    /// <inheritdoc cref="LeastBytes"/>
    internal long RenewingBytes { get; init; } = 1 << 20;

    /// <summary>Options of the environment.</summary>
    /// <param name="endpoint">The address; that of the environment, or the public one, if null.</param>
    /// <exception cref="GlmException">The address or the token cannot be used.</exception>
    public static HubOptions FromEnvironment(string? endpoint = null)
    {
        string source = endpoint is null ? EndpointVariable : "--endpoint";
        if (string.IsNullOrEmpty(endpoint)) endpoint = Environment.GetEnvironmentVariable(EndpointVariable);
        if (string.IsNullOrEmpty(endpoint)) endpoint = PublicEndpoint;
        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") || (address.UserInfo + address.Query + address.Fragment).Length > 0)
            throw new GlmException($"{source}: expected the address of a hub, such as {PublicEndpoint}, without user, query or fragment");
        string? token = Environment.GetEnvironmentVariable(TokenVariable)?.Trim();
        if (token?.Any(c => c is <= ' ' or > '~') == true) throw new GlmException($"{TokenVariable}: expected a token of printable ASCII without blanks, found other characters");
        return new HubOptions { Endpoint = address, Token = string.IsNullOrEmpty(token) ? null : token };
    }
}
