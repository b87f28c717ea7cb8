using Microsoft.Extensions.AI;

namespace Glm;

/// <summary>A model that embeds texts, as Microsoft.Extensions.AI speaks to one. Safe for use from several threads. The model is not disposed with it.</summary>
/// <param name="model">A model that sees its context in both directions.</param>
public sealed class GlmEmbeddingGenerator(GlmModel model) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly EmbeddingGeneratorMetadata _metadata = new("glm.net", null, model.Name);

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        var (vectors, tokens) = await model.EmbedAsync([.. values], cancellationToken).ConfigureAwait(false);
        if (options?.Dimensions is { } dimensions && vectors.Length > 0 && dimensions != vectors[0].Length)
            throw new GlmException($"dimensions: expected the model's {vectors[0].Length}, found {dimensions}");
        return new GeneratedEmbeddings<Embedding<float>>(vectors.Select(vector => new Embedding<float>(vector) { ModelId = model.Name, CreatedAt = DateTimeOffset.UtcNow }))
        {
            Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens },
        };
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is not null ? null
        : serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata
        : serviceType.IsInstanceOfType(model) ? model
        : serviceType.IsInstanceOfType(this) ? this : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        // The model belongs to whoever loaded it.
    }
}
