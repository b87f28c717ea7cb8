using System.Text.Json;
using Glm.Tests;

namespace Glm.Evaluation.Tests;

/// <summary>The vectors in <c>evaluation/</c>, found by what they hold.</summary>
internal static class EvaluationReference
{
    public static string Folder => Path.Combine(TestFiles.Reference, "evaluation");

    /// <summary>The roots of the files for which something holds; there is at least one.</summary>
    public static IReadOnlyList<(string Path, JsonElement Root)> Files(Func<JsonElement, bool> holds)
    {
        var files = Directory.GetFiles(Folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(path => (path, JsonDocument.Parse(File.ReadAllText(path)).RootElement)).Where(file => holds(file.RootElement)).ToList();
        Assert.NotEmpty(files);
        return files;
    }

    public static int[] Ints(this JsonElement element) => [.. element.EnumerateArray().Select(value => value.GetInt32())];

    public static int[][] IntLists(this JsonElement element) => [.. element.EnumerateArray().Select(Ints)];

    public static double[] Doubles(this JsonElement element) => [.. element.EnumerateArray().Select(value => value.GetDouble())];
}
