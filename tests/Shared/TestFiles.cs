using System.Runtime.CompilerServices;

namespace Glm.Tests;

/// <summary>
/// Finds the ground truth that tests read: the whole folder where <c>GLM_REFERENCE</c> (or <c>../shared/reference</c>) exists,
/// otherwise the small subset in <c>tests/reference</c>. Data comes from <c>GLM_DATA</c> (or <c>../shared/data</c>) alone.
/// </summary>
internal static class TestFiles
{
    /// <summary>The root of the repository.</summary>
    public static string Repository { get; } = FindRepository();

    /// <summary>The folder of reference vectors, and whether it is the whole set.</summary>
    public static string Reference => WholeReference ?? Path.Combine(Repository, "tests", "reference");

    /// <summary>The folder of vectors that the oracles of this repository wrote (<c>tests/oracle</c>).</summary>
    public static string Oracle => Path.Combine(Repository, "tests", "reference-own");

    /// <summary>The whole reference folder, or null where only the subset in the repository is there.</summary>
    public static string? WholeReference => Shared("GLM_REFERENCE", "reference");

    /// <summary>The folder of evaluation and pre-training data, or null.</summary>
    public static string? Data => Shared("GLM_DATA", "data");

    /// <summary>The directory of the model that ships.</summary>
    public static string ShippedModel => Directory.GetDirectories(Path.Combine(Repository, "models")).Single(model => File.Exists(Path.Combine(model, "config.json")));

    /// <summary>The folder of real tokenizer files (a sibling of the reference vectors), or null.</summary>
    public static string? Tokenizers => WholeReference is { } r && Path.Combine(r, "..", "tokenizers") is var t && Directory.Exists(t) ? t : null;

    private static string? Shared(string variable, string folder)
    {
        string? set = Environment.GetEnvironmentVariable(variable);
        if (!string.IsNullOrEmpty(set))
            return Directory.Exists(set) ? set : throw new DirectoryNotFoundException($"{variable}={set}: no such folder");
        string standard = Path.Combine(Repository, "..", "shared", folder);
        return Directory.Exists(standard) ? Path.GetFullPath(standard) : null;
    }

    private static string FindRepository([CallerFilePath] string here = "")
    {
        for (string? folder = Path.GetDirectoryName(here); folder is not null; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, "Glm.slnx"))) return folder;
        throw new DirectoryNotFoundException("the repository's root (Glm.slnx) was not found above the tests");
    }
}
