using Glm.Models;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>What a model of one precision takes with a given memory on this machine.</summary>
/// <param name="Runs">Whether there is room for anything beside the program, a context and a little of the weights.</param>
/// <param name="DiskBytesPerToken">Weights that do not fit and are read from disk for every token.</param>
/// <param name="SecondsPerToken">Time that reading takes, from disk and from memory at once, whichever is slower.</param>
internal sealed record PrecisionNeeds(bool Runs, long DiskBytesPerToken, double SecondsPerToken);

/// <summary>What a model takes with a given memory on this machine, whose memory and disk are measured.</summary>
/// <param name="Memory">Bytes that the process may take.</param>
/// <param name="WorkingBytes">Of them, what is not weights.</param>
/// <param name="ReadGbS">10^9 bytes per second read from memory.</param>
/// <param name="DiskGbS">10^9 bytes per second read from disk.</param>
/// <param name="Precisions">By name of the precision.</param>
internal sealed record MemoryNeeds(long Memory, long WorkingBytes, double ReadGbS, double DiskGbS, IReadOnlyDictionary<string, PrecisionNeeds> Precisions)
{
    /// <summary>A part of the memory for the weights that pass through.</summary>
    private const long Ring = 256 << 20;

    private const int SampleBytes = 512 << 20;

    /// <summary>Measures the machine, and counts.</summary>
    public static MemoryNeeds Measure(ModelConfig config, long memory, IEnumerable<DType> precisions, int threads)
    {
        using var workers = new Workers(threads);
        double read = Machine.ReadBandwidth(workers), disk = DiskRate();
        long working = LimitedMemory.WorkingBytes(config, Options.DefaultCacheType), left = memory - working;
        return new MemoryNeeds(memory, working, Math.Round(read, 2), Math.Round(disk, 2), precisions.ToDictionary(Units.Name, type =>
        {
            // Of an embedding that is not the output matrix, a token reads one row.
            long weights = ModelSize.WeightBytes(config, type);
            if (!config.Shape.TiedOutput) weights -= (type.IsFloat() ? type : DType.Float16).Bytes((long)config.Shape.Vocabulary * config.Shape.Hidden);
            long fromDisk = weights <= left ? 0 : weights - Math.Max(0, left - Ring);
            return new PrecisionNeeds(left >= Math.Min(weights, Ring), fromDisk, Math.Round(Math.Max(fromDisk / (disk * 1e9), weights / (read * 1e9)), 3));
        }));
    }

    /// <summary>The disk's rate over a file of its own, where temporary files lie.</summary>
    private static double DiskRate()
    {
        string file = Path.GetTempFileName();
        try
        {
            using (var stream = new FileStream(file, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20))
            {
                byte[] bytes = new byte[1 << 20];
                new Random(1).NextBytes(bytes);
                for (int written = 0; written < SampleBytes; written += bytes.Length) stream.Write(bytes);
                stream.Flush(flushToDisk: true);
            }
            return Machine.DiskRate(file, TimeSpan.FromSeconds(2));
        }
        catch (IOException error)
        {
            throw new GlmException($"{file}: cannot be written, to measure the disk: {error.Message}", error);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
