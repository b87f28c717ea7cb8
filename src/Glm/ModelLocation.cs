namespace Glm;

/// <summary>Where a model lies when the command line does not say.</summary>
public static class ModelLocation
{
    private const string Variable = "GLM_MODEL";

    /// <summary>The path that was given, or the directory of the shipped model.</summary>
    /// <exception cref="GlmException">None was given and there is no shipped model, or there are several.</exception>
    public static string OrShipped(string? path) => path ?? Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" => Shipped(),
        var set when Directory.Exists(set) || File.Exists(set) => set,
        var set => throw new GlmException($"{Variable}={set}: no such directory or file"),
    };

    private static string Shipped()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            string models = Path.Combine(folder, "models");
            if (!Directory.Exists(models)) continue;
            string[] found = [.. Directory.EnumerateDirectories(models).Where(model => File.Exists(Path.Combine(model, "config.json"))).Order(StringComparer.Ordinal)];
            if (found.Length == 1) return found[0];
            throw new GlmException($"{models}: expected one model, found {found.Length}: name one with --model or {Variable}");
        }
        throw new GlmException($"no shipped model was found beside the program: name one with --model or {Variable}");
    }
}
