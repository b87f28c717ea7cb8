using System.IO.Enumeration;

namespace Glm.Hub;

/// <summary>Which files of a repository are wanted.</summary>
internal static class HubSelection
{
    /// <summary>Endings of weights in the formats that repositories carry beside safetensors.</summary>
    private static readonly string[] OtherWeights = [".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".ot"];

    /// <summary>Files that match a pattern of <paramref name="include"/>, if there is any, and none of <paramref name="exclude"/>; without patterns to include, weights once.</summary>
    /// <returns>What is taken, and what is left since safetensors in the same folder hold the weights already.</returns>
    public static (List<HubFile> Taken, List<HubFile> Doubles) Choose(IReadOnlyList<HubFile> files, IReadOnlyList<string> include, IReadOnlyList<string> exclude)
    {
        var wanted = files.Where(file => (include.Count == 0 || Matches(file, include)) && !Matches(file, exclude)).ToList();
        if (include.Count > 0) return (wanted, []);
        var covered = wanted.Where(file => file.Path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)).Select(Folder).ToHashSet();
        var doubles = wanted.Where(file => covered.Contains(Folder(file)) && OtherWeights.Contains(Path.GetExtension(file.Path), StringComparer.OrdinalIgnoreCase)).ToList();
        return (wanted.Except(doubles).ToList(), doubles);
    }

    /// <summary>A <c>*</c> stands for slashes, too; a pattern is of the whole path or of the name alone.</summary>
    private static bool Matches(HubFile file, IReadOnlyList<string> patterns) => patterns.Any(pattern =>
        FileSystemName.MatchesSimpleExpression(pattern, file.Path, ignoreCase: false) || FileSystemName.MatchesSimpleExpression(pattern, file.Path.AsSpan(file.Path.LastIndexOf('/') + 1), ignoreCase: false));

    private static string Folder(HubFile file) => file.Path[..(file.Path.LastIndexOf('/') + 1)];
}
