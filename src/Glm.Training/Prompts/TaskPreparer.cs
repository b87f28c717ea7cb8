using System.Buffers.Binary;

namespace Glm.Training;

/// <summary>Turns prompted data sets into ids that training draws from. The same inputs give the same bytes.</summary>
/// <param name="encode">Text to ids.</param>
/// <param name="vocabularySize">All ids are below it.</param>
/// <param name="tokenizerHash">SHA-256 of the tokenizer's file.</param>
public sealed class TaskPreparer(Func<string, int[]> encode, int vocabularySize, string tokenizerHash)
{
    /// <summary>Longest text or target that is kept, far above any part of a row; the rest is cut off.</summary>
    private const int LongestText = 1 << 14;

    private const int LongestHeldOut = 16 << 20;

    /// <summary>
    /// Prepares sets, whose files' names start from <paramref name="data"/>, into <paramref name="folder"/>, without records that share text with the files
    /// <paramref name="heldOut"/>.
    /// </summary>
    /// <exception cref="GlmException">A file cannot be read, a set has no prompt, or the folder already holds prompts or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; no manifest is left.</exception>
    public TaskManifest Prepare(PromptSets sets, string data, string folder, IReadOnlyList<string>? heldOut = null, IProgress<string>? progress = null, CancellationToken cancellation = default)
    {
        if (File.Exists(Path.Combine(folder, TaskManifest.FileName))) throw new GlmException($"{folder}: already holds prepared prompts; choose another folder or remove it");
        var filter = new CopyFilter(deduplicate: false);
        filter.HoldOut(heldOut ?? [], "text", LongestHeldOut, cancellation);
        var tasks = new Dictionary<string, Task>();
        long count = 0;
        foreach (var set in sets.Sets)
        {
            int before = tasks.Values.Sum(task => task.Prompts.Count);
            foreach (var prompt in PromptReader.Read(set, data, filter))
            {
                cancellation.ThrowIfCancellationRequested();
                if (!tasks.TryGetValue(prompt.Set, out var task)) tasks.Add(prompt.Set, task = new Task(set.Weight));
                if (prompt.HeldOut)
                {
                    task.HeldOut++;
                    continue;
                }
                if (prompt.Fault is not null)
                {
                    task.Faulty++;
                    task.FirstFault ??= $"{prompt.File}, line {prompt.Line}: {prompt.Fault}";
                    continue;
                }
                task.Prompts.Add((Encoded(prompt.Input), Encoded(prompt.Target)));
                if (++count % 1000 == 0) progress?.Report($"{prompt.Set}: {count:N0} prompts");
            }
            if (tasks.Values.Sum(task => task.Prompts.Count) == before)
                throw new GlmException($"{set.Name}: expected prompts in {string.Join(", ", set.Files)}, found none{(tasks.GetValueOrDefault(set.Name)?.FirstFault is { } fault ? $" ({fault})" : "")}");
        }
        var kept = tasks.Where(task => task.Value.Prompts.Count > 0).ToList();
        long ids = Write(folder, kept.SelectMany(task => task.Value.Prompts));
        var manifest = new TaskManifest(TaskManifest.FormatName, vocabularySize, tokenizerHash, ids, [.. kept.Select(task =>
            new TaskEntry(task.Key, task.Value.Prompts.Count, task.Value.Weight * task.Value.Prompts.Count, task.Value.Faulty, task.Value.FirstFault, task.Value.HeldOut))]);
        manifest.Save(folder);
        return manifest;
    }

    private int[] Encoded(string text)
    {
        int[] ids = encode(text);
        return ids.Length <= LongestText ? ids : ids[..LongestText];
    }

    private static long Write(string folder, IEnumerable<(int[] Text, int[] Target)> prompts)
    {
        long written = 0;
        AtomicFile.Write(Path.Combine(folder, TaskManifest.IndexFile), index => AtomicFile.Write(Path.Combine(folder, TaskManifest.IdsFile), ids =>
        {
            byte[] entry = new byte[TaskManifest.EntryBytes];
            foreach (var (text, target) in prompts)
            {
                BinaryPrimitives.WriteInt64LittleEndian(entry, written);
                BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(8), text.Length);
                BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(16), target.Length);
                index.Write(entry);
                ShardFile.WriteIds(ids, text, sizeof(int));
                ShardFile.WriteIds(ids, target, sizeof(int));
                written += text.Length + target.Length;
            }
        }));
        return written;
    }

    private sealed class Task(double weight)
    {
        public double Weight => weight;
        public List<(int[] Text, int[] Target)> Prompts { get; } = [];
        public int Faulty, HeldOut;
        public string? FirstFault;
    }
}
