using System.Text;

namespace Glm.Formats;

/// <summary>
/// A checkpoint in the original's layout (spec 7.1): the text file <c>latest</c> names an iteration, and the folder of that name holds
/// <c>mp_rank_NN_model_states.pt</c> for each tensor-parallel rank, whose tensors lie under <c>module</c>. How ranks join is the architecture's affair.
/// </summary>
public sealed class SatCheckpoint
{
    /// <summary>The file that names the iteration.</summary>
    public const string LatestFile = "latest";

    /// <summary>The key under which the tensors of a rank lie.</summary>
    public const string Root = "module";

    private const string Release = "release", FilePrefix = "mp_rank_", FileSuffix = "_model_states.pt";
    private const int LongestLatest = 64, MostRanks = 4096;

    private SatCheckpoint(string path, string iteration, IReadOnlyList<TensorStore> ranks) => (Path, Iteration, Ranks) = (path, iteration, ranks);

    /// <summary>The directory.</summary>
    public string Path { get; }

    /// <summary>The number of training steps, or "release".</summary>
    public string Iteration { get; }

    /// <summary>The tensors of each rank.</summary>
    public IReadOnlyList<TensorStore> Ranks { get; }

    /// <summary>Whether a directory is one of these.</summary>
    public static bool IsCheckpoint(string path) => File.Exists(System.IO.Path.Combine(path, LatestFile));

    /// <summary>The iteration that a directory names.</summary>
    /// <exception cref="GlmException">It names none.</exception>
    public static string IterationOf(string path) => ReadLatest(System.IO.Path.Combine(path, LatestFile));

    /// <summary>Opens the files of all ranks.</summary>
    /// <exception cref="GlmException">A file is missing or damaged, or <c>latest</c> names no iteration.</exception>
    public static SatCheckpoint Open(string path)
    {
        string iteration = IterationOf(path), folder = System.IO.Path.Combine(path, iteration);
        if (!Directory.Exists(folder)) throw new GlmException($"{path}: expected the folder {iteration}, which {LatestFile} names, found none");
        int ranks = 0;
        foreach (string file in Directory.GetFiles(folder, FilePrefix + "*"))
        {
            string name = System.IO.Path.GetFileName(file), digits = name[FilePrefix.Length..];
            digits = digits.EndsWith(FileSuffix, StringComparison.Ordinal) ? digits[..^FileSuffix.Length] : "";
            if (!int.TryParse(digits, System.Globalization.NumberStyles.None, null, out int rank) || rank >= MostRanks || FileOf(rank) != name)
                throw new GlmException($"{file}: expected the name {FileOf(0)} with the number of a rank up to {MostRanks - 1}, found {name}");
            ranks = Math.Max(ranks, rank + 1);
        }
        if (ranks == 0) throw new GlmException($"{folder}: expected {FileOf(0)}, found no file of a rank");
        string[] files = [.. Enumerable.Range(0, ranks).Select(rank => System.IO.Path.Combine(folder, FileOf(rank)))];
        if (Array.Find(files, file => !File.Exists(file)) is { } missing) throw new GlmException($"{missing}: expected the files of {ranks} ranks, found this one missing");
        return new SatCheckpoint(path, iteration, [.. files.Select(file => TorchFile.Open(file, Root))]);
    }

    /// <summary>Writes a checkpoint, one tensor after the other; its directory appears when it is whole.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="iteration">The number of training steps, or "release".</param>
    /// <param name="ranks">The tensors of each rank.</param>
    /// <param name="cancel">Stops the writing; nothing is left then.</param>
    /// <exception cref="GlmException">The directory has something else in it or cannot be written.</exception>
    public static void Write(string path, string iteration, IReadOnlyList<IReadOnlyList<TensorEntry>> ranks, CancellationToken cancel = default)
    {
        RequireIteration(path, iteration);
        RefuseOtherContent(path);
        AtomicDirectory.Write(path, folder =>
        {
            for (int rank = 0; rank < ranks.Count; rank++) TorchWriter.Write(System.IO.Path.Combine(folder, iteration, FileOf(rank)), ranks[rank], Root, cancel);
            AtomicFile.Write(System.IO.Path.Combine(folder, LatestFile), stream => stream.Write(Encoding.UTF8.GetBytes(iteration)));
        });
    }

    /// <summary>Writing replaces a whole directory, so one with anything else in it than its latest checkpoint is left alone.</summary>
    private static void RefuseOtherContent(string path)
    {
        if (!Directory.Exists(path)) return;
        string? latest = IsCheckpoint(path) ? IterationOf(path) : null;
        foreach (string entry in Directory.EnumerateFileSystemEntries(path).Select(entry => System.IO.Path.GetFileName(entry)))
            if (entry != LatestFile && entry != latest) throw new GlmException($"{path}: expected nothing or a checkpoint to replace, found {entry} in it");
    }

    /// <summary>The name of a rank's file.</summary>
    public static string FileOf(int rank) => $"{FilePrefix}{rank:D2}{FileSuffix}";

    private static string ReadLatest(string path)
    {
        try
        {
            long length = new FileInfo(path).Length;
            if (length > LongestLatest) throw new GlmException($"{path}: expected the number of an iteration, found {length} bytes");
            string text = File.ReadAllText(path).Trim();
            RequireIteration(path, text);
            return text;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    private static void RequireIteration(string path, string text)
    {
        if (text != Release && (text.Length is 0 or > 18 || !text.All(char.IsAsciiDigit)))
            throw new GlmException($"{path}: expected the number of an iteration or \"{Release}\", found \"{text}\"");
    }
}
