using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Glm.Server;

/// <summary>How a server runs. A file, variables of the environment and the command line may each say some of it, the later ones winning.</summary>
public sealed record ServerOptions
{
    /// <summary>What variables of the environment begin with: <c>GLM_SERVE_PORT=9000</c>.</summary>
    public const string VariablePrefix = "GLM_SERVE_";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        NumberHandling = JsonNumberHandling.AllowReadingFromString,
        ReadCommentHandling = JsonCommentHandling.Skip,
    };

    /// <summary>Address to listen at; loopback unless told otherwise.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>Port to listen at; 0 for any that is free.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>Names that a request may be addressed to, beside those of this machine's loopback; <c>*</c> for any. Keeps other sites' pages from reaching a local server.</summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Origins whose pages may call the server; none by default.</summary>
    public IReadOnlyList<string> AllowedOrigins { get; init; } = [];

    /// <summary>Keys, of which a request must bring one; none for everybody.</summary>
    public IReadOnlyList<KeyOptions> Keys { get; init; } = [];

    /// <summary>Most bytes of a request.</summary>
    public int MaxBodyBytes { get; init; } = 1 << 20;

    /// <summary>Most new tokens that a request may ask for, of all its choices together.</summary>
    public int MaxNewTokens { get; init; } = 32768;

    /// <summary>Most choices of a request: prompts times <c>n</c>.</summary>
    public int MaxChoices { get; init; } = 16;

    /// <summary>Seconds that a request may take, waiting included.</summary>
    public double TimeoutSeconds { get; init; } = 600;

    /// <summary>Seconds that requests have to finish when the server is told to stop.</summary>
    public double DrainSeconds { get; init; } = 30;

    /// <summary>Whether a short text is computed before the server says that it is ready.</summary>
    public bool WarmUp { get; init; } = true;

    /// <summary>Whether there is a page for people.</summary>
    public bool Page { get; init; } = true;

    /// <summary>A new key for a client, and the hash by which a server knows it (<see cref="KeyOptions.Sha256"/>).</summary>
    public static (string Key, string Sha256) NewKey() => ApiKeys.Create();

    /// <summary>Puts together what a file, the environment and the command line say.</summary>
    /// <param name="file">A JSON file; null for none.</param>
    /// <param name="environment">Variables.</param>
    /// <param name="flags">What the command line says, by the names of the file.</param>
    /// <exception cref="GlmException">Something has an unknown name, or is impossible.</exception>
    public static ServerOptions Read(string? file, IEnumerable<KeyValuePair<string, string>> environment, JsonObject flags)
    {
        var all = new JsonObject();
        string source = file ?? "options of the server";
        try
        {
            if (file is not null)
                all = JsonNode.Parse(File.ReadAllText(file), null, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }) as JsonObject
                    ?? throw new GlmException($"{file}: expected a JSON object, found something else");
            foreach (var (name, value) in environment.Where(variable => variable.Key.StartsWith(VariablePrefix, StringComparison.Ordinal)))
                all[name[VariablePrefix.Length..].ToLowerInvariant()] = value is "true" or "false" ? value == "true" : value.StartsWith('[') ? JsonNode.Parse(value) : value;
            foreach (var (name, value) in flags) all[name] = value?.DeepClone();
            return (all.Deserialize<ServerOptions>(Json) ?? new ServerOptions()).Validated();
        }
        catch (JsonException error)
        {
            throw new GlmException($"{source}: {error.Path}: expected what the documentation of glm serve says: {error.Message}", error);
        }
        catch (IOException error)
        {
            throw new GlmException($"{file}: cannot be read: {error.Message}", error);
        }
    }

    private ServerOptions Validated()
    {
        Require(Port is >= 0 and <= 65535, "port", "0 to 65535", Port);
        Require(MaxBodyBytes >= 1, "max_body_bytes", "1 or more", MaxBodyBytes);
        Require(MaxNewTokens >= 1, "max_new_tokens", "1 or more", MaxNewTokens);
        Require(MaxChoices >= 1, "max_choices", "1 or more", MaxChoices);
        Require(TimeoutSeconds is > 0 and <= 86400, "timeout_seconds", "more than 0, at most 86400", TimeoutSeconds);
        Require(DrainSeconds is >= 0 and <= 86400, "drain_seconds", "0 to 86400", DrainSeconds);
        foreach (var key in Keys) key.Validate();
        Require(Keys.Select(key => key.Name).Distinct().Count() == Keys.Count, "keys", "names that differ", "the same name twice");
        return this;

        static void Require(bool holds, string field, string expected, object found)
        {
            if (!holds) throw new GlmException($"{field}: expected {expected}, found {found}");
        }
    }
}

/// <summary>A key that clients identify themselves with, and what they may do.</summary>
public sealed record KeyOptions
{
    /// <summary>Whose it is, for logs; no secret.</summary>
    public string Name { get; init; } = "";

    /// <summary>SHA-256 of the key, in hexadecimal: keys are random, so nothing slower is needed to keep them secret.</summary>
    public string Sha256 { get; init; } = "";

    /// <summary>Higher ones go first.</summary>
    public int Priority { get; init; }

    /// <summary>Most requests at the same time.</summary>
    public int? Concurrency { get; init; }

    /// <summary>Most requests in a minute.</summary>
    public int? RequestsPerMinute { get; init; }

    internal void Validate()
    {
        if (Name.Length == 0) throw new GlmException("keys: expected a name, found none");
        if (Sha256.Length != 64 || !Sha256.All(char.IsAsciiHexDigit)) throw new GlmException($"keys: {Name}: sha256: expected 64 hexadecimal digits, found {Sha256.Length} characters");
        if (Concurrency < 1) throw new GlmException($"keys: {Name}: concurrency: expected at least 1, found {Concurrency}");
        if (RequestsPerMinute < 1) throw new GlmException($"keys: {Name}: requests_per_minute: expected at least 1, found {RequestsPerMinute}");
    }
}
