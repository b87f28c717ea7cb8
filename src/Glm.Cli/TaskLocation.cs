using Glm.Evaluation;

namespace Glm.Cli;

/// <summary>Finds the tasks that the command line names: files, folders, or tasks and folders that ship.</summary>
internal static class TaskLocation
{
    private const string Folder = "tasks", Pattern = "*.yaml";

    /// <summary>Bits per byte of text files takes no task file.</summary>
    public static bool IsBitsPerByte(string word) => word == BitsPerByteTask.Name;

    /// <summary>The tasks in a file or below a folder, or those that ship under a name: <c>mmlu</c>, <c>clue</c>, <c>lambada-unidirectional</c>.</summary>
    /// <exception cref="UsageException">There is none.</exception>
    /// <exception cref="GlmException">One cannot be read.</exception>
    public static IReadOnlyList<TaskDefinition> Find(string word)
    {
        if (File.Exists(word)) return TaskFile.Load(word);
        if (Directory.Exists(word) && FilesBelow(word) is { Length: > 0 } below) return [.. below.SelectMany(TaskFile.Load)];
        string shipped = Shipped();
        string[] files = Directory.Exists(Path.Combine(shipped, word)) ? FilesBelow(Path.Combine(shipped, word)) : [];
        string[] alone = [.. FilesBelow(shipped).Where(file => Path.GetFileNameWithoutExtension(file) == word)];
        // A folder may hold one task of its own name and others beside it, as lambada does: its name means that one.
        string[] found = alone.Length > 0 && !(files.Length > 1 && !alone.All(files.Contains)) ? alone : files;
        if (found.Length > 0) return [.. found.SelectMany(TaskFile.Load)];
        List<TaskDefinition> named = [.. All().Where(task => task.Name == word)];
        return named.Count > 0 ? named : throw new UsageException($"--tasks {word}: expected a task file, a folder of task files, {BitsPerByteTask.Name}, or the name of a task that ships (glm eval --list), found none of them");
    }

    /// <summary>Every task that ships.</summary>
    public static IReadOnlyList<TaskDefinition> All() => [.. FilesBelow(Shipped()).SelectMany(TaskFile.Load)];

    private static string[] FilesBelow(string folder) => [.. Directory.EnumerateFiles(folder, Pattern, SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private static string Shipped()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
            if (Path.Combine(folder, Folder) is var tasks && Directory.Exists(tasks) && Directory.EnumerateFiles(tasks, Pattern, SearchOption.AllDirectories).Any()) return tasks;
        throw new GlmException("no tasks were found beside the program: name a file or folder");
    }
}
