using Microsoft.AspNetCore.Http;

namespace Glm.Server;

/// <summary>The models of a server by name, once they are loaded. Safe for use from several threads.</summary>
internal sealed class ModelHost
{
    private volatile IReadOnlyList<GlmModel> _models = [];
    private volatile bool _closing;

    /// <summary>Whether requests can be computed.</summary>
    public bool IsReady => _models.Count > 0 && !_closing;

    /// <summary>All models; none while they are loading.</summary>
    public IReadOnlyList<GlmModel> All => _models;

    public void Open(IReadOnlyList<GlmModel> models) => _models = models;

    /// <summary>From now on the server says that it is not ready; what comes nevertheless is still computed.</summary>
    public void Close() => _closing = true;

    /// <summary>The model of a name; the first one where a request names none.</summary>
    /// <exception cref="ApiException">There is none of that name, or models are still loading.</exception>
    public GlmModel Find(string? name)
    {
        var models = _models;
        if (models.Count == 0)
            throw new ApiException(StatusCodes.Status503ServiceUnavailable, "server_error", "the model is still loading", null, "loading") { RetryAfter = TimeSpan.FromSeconds(2) };
        return name is null ? models[0] : models.FirstOrDefault(model => model.Name == name)
            ?? throw new ApiException(StatusCodes.Status404NotFound, "invalid_request_error", $"model: no such model; there is {string.Join(", ", models.Select(model => model.Name))}", "model", "model_not_found");
    }
}
