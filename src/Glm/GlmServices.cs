using Glm.Inference;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Glm;

/// <summary>Models in a container of services.</summary>
public static class GlmServices
{
    /// <summary>
    /// Adds a model, which is loaded when it is first asked for and disposed with the container; and with it an <see cref="IChatClient"/> and an
    /// <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/>, which fail when they are used if the model is not made for that.
    /// </summary>
    /// <param name="services">The container.</param>
    /// <param name="path">The model's directory or GGUF file; the shipped model if null.</param>
    /// <param name="load">How it is opened.</param>
    /// <param name="batching">How callers share it.</param>
    public static IServiceCollection AddGlm(this IServiceCollection services, string? path = null, LoadOptions? load = null, BatchingOptions? batching = null) => services
        .AddSingleton(provider => GlmModel.Load(path, load, batching, logger: provider.GetService<ILogger<GlmModel>>()))
        .AddSingleton<IChatClient>(provider => new GlmChatClient(provider.GetRequiredService<GlmModel>()))
        .AddSingleton<IEmbeddingGenerator<string, Embedding<float>>>(provider => new GlmEmbeddingGenerator(provider.GetRequiredService<GlmModel>()));
}
