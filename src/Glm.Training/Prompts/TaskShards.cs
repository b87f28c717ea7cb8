using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Glm.Training;

/// <summary>A folder of prompts as ids. Which prompt a number gives is a pure function of (seed, number), drawn with replacement by weight. Thread-safe.</summary>
public sealed class TaskShards : IDisposable
{
    private const ulong DrawDomain = 0x7461736B; // keeps these draws apart from others of the same seed
    private readonly string _folder;
    private readonly SafeFileHandle _ids, _index;
    private readonly double[] _cumulative;
    private readonly long[] _firsts;

    private TaskShards(string folder, TaskManifest manifest, SafeFileHandle ids, SafeFileHandle index)
    {
        (_folder, Manifest, _ids, _index) = (folder, manifest, ids, index);
        _cumulative = new double[manifest.Tasks.Count];
        _firsts = new long[manifest.Tasks.Count];
        double sum = 0;
        long first = 0;
        for (int i = 0; i < _cumulative.Length; i++)
        {
            _cumulative[i] = sum += manifest.Tasks[i].Weight;
            _firsts[i] = first;
            first += manifest.Tasks[i].Samples;
        }
    }

    /// <summary>What the folder holds.</summary>
    public TaskManifest Manifest { get; }

    /// <summary>Opens a folder; refuses one of another tokenizer.</summary>
    /// <exception cref="GlmException">A file is missing, damaged or of another tokenizer.</exception>
    public static TaskShards Open(string folder, string tokenizerHash)
    {
        var manifest = TaskManifest.Load(folder);
        if (!tokenizerHash.Equals(manifest.TokenizerSha256, StringComparison.OrdinalIgnoreCase))
            throw new GlmException($"{folder}: prepared with another tokenizer: expected sha256 {tokenizerHash}, found {manifest.TokenizerSha256}");
        var index = OpenFile(TaskManifest.IndexFile, manifest.Samples * TaskManifest.EntryBytes);
        try
        {
            return new TaskShards(folder, manifest, OpenFile(TaskManifest.IdsFile, manifest.Ids * sizeof(int)), index);
        }
        catch
        {
            index.Dispose();
            throw;
        }

        SafeFileHandle OpenFile(string name, long bytes)
        {
            string path = Path.Combine(folder, name);
            try
            {
                var handle = File.OpenHandle(path);
                if (RandomAccess.GetLength(handle) == bytes) return handle;
                long found = RandomAccess.GetLength(handle);
                handle.Dispose();
                throw new GlmException($"{path}: expected {bytes} bytes, found {found}");
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new GlmException($"{path}: cannot be read: {error.Message}", error);
            }
        }
    }

    /// <summary>The prompt of a number.</summary>
    /// <exception cref="GlmException">The folder is damaged.</exception>
    public (int[] Text, int[] Target) Draw(ulong seed, long number)
    {
        var random = new CounterRandom(seed ^ DrawDomain, (ulong)number);
        double point = random.NextDouble() * _cumulative[^1];
        int task = 0;
        while (task < _cumulative.Length - 1 && _cumulative[task] <= point) task++;
        return Read(_firsts[task] + random.NextInt(Manifest.Tasks[task].Samples));
    }

    /// <summary>A prompt by its place in the folder.</summary>
    /// <exception cref="GlmException">The folder is damaged.</exception>
    public (int[] Text, int[] Target) Read(long prompt)
    {
        byte[] entry = new byte[TaskManifest.EntryBytes];
        ReadAt(_index, entry, prompt * TaskManifest.EntryBytes);
        long start = BinaryPrimitives.ReadInt64LittleEndian(entry), text = BinaryPrimitives.ReadInt64LittleEndian(entry.AsSpan(8)), target = BinaryPrimitives.ReadInt64LittleEndian(entry.AsSpan(16));
        if (start < 0 || text < 0 || target < 0 || text > Manifest.Ids || target > Manifest.Ids || start > Manifest.Ids - text - target || text + target > int.MaxValue / 2)
            throw new GlmException($"{Path.Combine(_folder, TaskManifest.IndexFile)}: prompt {prompt}: expected ids within {Manifest.Ids}, found {start} + {text} + {target}");
        int[] ids = new int[text + target];
        ReadAt(_ids, MemoryMarshal.AsBytes(ids.AsSpan()), start * sizeof(int));
        foreach (int id in ids)
            if ((uint)id >= (uint)Manifest.VocabularySize) throw new GlmException($"{Path.Combine(_folder, TaskManifest.IdsFile)}: damaged: expected ids below {Manifest.VocabularySize}, found {id}");
        return (ids[..(int)text], ids[(int)text..]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ids.Dispose();
        _index.Dispose();
    }

    private void ReadAt(SafeFileHandle file, Span<byte> bytes, long offset)
    {
        for (int done = 0; done < bytes.Length;)
        {
            int read = RandomAccess.Read(file, bytes[done..], offset + done);
            if (read == 0) throw new GlmException($"{_folder}: a file was cut while it was read");
            done += read;
        }
    }
}
