using Glm.Tests;

namespace Glm.Library.Tests;

/// <summary>A random ChatGLM3 that any test may share, in a file of its own.</summary>
public sealed class TinyChat : IAsyncLifetime
{
    public string File { get; } = Path.Combine(Path.GetTempPath(), $"glm-library-{Guid.NewGuid():N}.gguf");

    public GlmModel Model { get; private set; } = null!;

    public Task InitializeAsync()
    {
        System.IO.File.WriteAllBytes(File, new TinyGguf { WithVocabulary = true, Changed = ("chatglm.context_length", 2000u) }.ToArray());
        Model = GlmModel.Load(File, new LoadOptions { Threads = 2 }, name: "tiny");
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await Model.DisposeAsync();
        System.IO.File.Delete(File);
    }
}
