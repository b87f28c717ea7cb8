namespace Glm.Evaluation;

/// <summary>Which interface of an endpoint is used.</summary>
public enum EndpointInterface
{
    /// <summary>Completions where they give the log-probabilities of prompts, else chat, else completions without.</summary>
    Auto,

    /// <summary>Completions.</summary>
    Completions,

    /// <summary>Chat.</summary>
    Chat,
}

/// <summary>Which endpoint is asked, as whom, how fast and how patiently.</summary>
public sealed record EndpointOptions
{
    /// <summary>Its address with the version, such as <c>https://host/v1</c>.</summary>
    public required Uri Address { get; init; }

    /// <summary>Name of the model there; null for the only one that it has.</summary>
    public string? Model { get; init; }

    /// <summary>Sent to the endpoint alone, and never part of a message or a cached file.</summary>
    internal string? Key { get; init; }

    /// <summary>The environment variable that the key is from.</summary>
    public string KeyVariable { get; init; } = "OPENAI_API_KEY";

    /// <summary>Which interface is used.</summary>
    public EndpointInterface Interface { get; init; }

    /// <summary>Requests at a time.</summary>
    public int Connections { get; init; } = 8;

    /// <summary>Most requests a minute; null for no such limit.</summary>
    public double? RequestsPerMinute { get; init; }

    /// <summary>Folder of responses; null to keep none.</summary>
    public string? Cache { get; init; }

    /// <summary>The user's cache directory for responses.</summary>
    public static string StandardCache => ResponseCache.Standard;

    /// <summary>Attempts after the first, each a while longer after the last.</summary>
    internal int Retries { get; init; } = 6;

    internal TimeSpan FirstDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait between attempts of our own choice.</summary>
    internal TimeSpan LongestBackoff { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The longest wait that an endpoint may ask for.</summary>
    internal TimeSpan LongestDelay { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The longest time for an answer.</summary>
    internal TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Bytes that an answer may have.</summary>
    internal int LargestResponse { get; init; } = 64 << 20;

    /// <summary>The options of a command line and the environment.</summary>
    /// <param name="address">The address; <c>/v1</c> is added where it has no path.</param>
    /// <param name="keyVariable">The environment variable with the key; null for <c>OPENAI_API_KEY</c>, which may be unset.</param>
    /// <exception cref="GlmException">The address or the key cannot be used.</exception>
    public static EndpointOptions Of(string address, string? keyVariable)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || (uri.UserInfo + uri.Query + uri.Fragment).Length > 0)
            throw new GlmException("--endpoint: expected an address such as https://host/v1, without user, query or fragment");
        var options = new EndpointOptions { Address = new Uri(uri.AbsolutePath == "/" ? $"{uri.GetLeftPart(UriPartial.Authority)}/v1" : uri.AbsoluteUri.TrimEnd('/')) };
        if (keyVariable is not null) options = options with { KeyVariable = keyVariable };
        string? key = Environment.GetEnvironmentVariable(options.KeyVariable)?.Trim();
        if (keyVariable is not null && string.IsNullOrEmpty(key)) throw new GlmException($"--api-key-env: expected a key in the environment variable {keyVariable}, found none");
        if (key?.Any(c => c is <= ' ' or > '~') == true) throw new GlmException($"{options.KeyVariable}: expected a key of printable ASCII without blanks, found other characters");
        return options with { Key = string.IsNullOrEmpty(key) ? null : key };
    }
}
