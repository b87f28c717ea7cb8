namespace Glm.Library.Tests;

/// <summary>The model that ships, which fills blanks.</summary>
public sealed class ShippedModel : IAsyncLifetime
{
    public GlmModel Model { get; private set; } = null!;

    public Task InitializeAsync()
    {
        Model = GlmModel.Load(load: new LoadOptions { Threads = 2 });
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await Model.DisposeAsync();
}
