using System.Buffers.Binary;
using System.Text;
using System.Xml.Linq;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>What a run writes down: lines, events, TensorBoard's files, and the plots of them.</summary>
public sealed class RunLogTests
{
    /// <summary>The test vector of RFC 3720 B.4 (32 zeros: 8A9136AA), masked by hand.</summary>
    [Fact]
    public void Records_carry_a_masked_crc_32c()
    {
        Assert.Equal(0x8A9136AAu, Castagnoli(new byte[32]));
        foreach (byte[] bytes in new[] { [], new byte[32], "brain.Event:2"u8.ToArray() })
        {
            uint crc = Castagnoli(bytes);
            Assert.Equal(unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u), TensorBoardLog.MaskedCrc(bytes));
        }
    }

    [Fact]
    public void TensorBoard_reads_what_the_log_says()
    {
        using var run = TinyRun.WithNoise(""", "spikes": { "reaction": "rollback", "window": 6, "loss_rise": 0.4 }, "precision": "float16" """);
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers) { Peak = 100 };
        trainer.Run(null, default);
        var log = RunLog.Read(run.In("run/log.jsonl"));
        var events = Events(Assert.Single(Directory.GetFiles(run.In("run/tensorboard"))));
        Assert.Equal("brain.Event:2", events[0].Version);

        // As TensorBoard does: a beginning at a step purges what was read of that step and later.
        var scalars = new SortedDictionary<long, Dictionary<string, float>>();
        int beginnings = 0;
        foreach (var (step, _, values, begins) in events)
        {
            if (begins) beginnings++;
            if (begins) foreach (long later in scalars.Keys.Where(key => key >= step).ToList()) scalars.Remove(later);
            if (values.Count > 0) scalars.Add(step, values);
        }
        Assert.InRange(beginnings, 2, 1 + RunEvents.Read(run.In("run/events.jsonl")).Count(e => e.Kind == "rollback"));
        Assert.Equal(log.Select(step => step.Step), scalars.Keys);
        foreach (var step in log)
        {
            var expected = new Dictionary<string, double?>
            {
                ["loss/total"] = step.Loss, ["loss/mask"] = step.SpanLoss, ["loss/gmask"] = step.SuffixLoss, ["optimizer/learning_rate"] = step.Rate,
                ["optimizer/gradient_norm"] = step.GradientNorm, ["optimizer/loss_scale"] = step.LossScale, ["optimizer/overflows"] = step.Overflows, ["optimizer/batch"] = step.Batch,
                ["speed/tokens_per_second"] = step.TokensPerSecond, ["speed/flops_per_second"] = step.FlopsPerSecond, ["speed/share_of_peak"] = step.PeakShare,
                ["data/samples"] = step.Samples, ["data/discarded"] = step.Discarded, ["validation/0"] = step.Validation?[0],
            };
            foreach (var (tag, value) in expected)
                Assert.Equal(value is { } number ? (float)number : null, scalars[step.Step].TryGetValue(tag, out float found) ? found : (float?)null);
            Assert.Equal(step.FlopsPerSecond / 1e11, step.PeakShare!.Value, 1e-12);
        }
    }

    [Fact]
    public void Plots_show_what_runs_have()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Path;
        Record(Path.Combine(path, "half"), step => step with { LossScale = step.Step < 50 ? 1024 : 512, Loss = step.Step == 50 ? double.NaN : step.Loss });
        Record(Path.Combine(path, "plain"), step => step with { Validation = step.Step % 10 == 0 ? [3, 5] : null });
        RunRecord[] runs = [RunRecord.Read(Path.Combine(path, "half")), RunRecord.Read(Path.Combine(path, "plain", "log.jsonl"))];
        Assert.Equal(["half", "plain"], runs.Select(run => run.Name));
        var plots = RunPlots.Of(runs, bySamples: false).ToDictionary(plot => plot.Key, plot => plot.Plot);
        Assert.Equal(["gradient-norm", "learning-rate", "loss", "loss-gmask", "loss-mask", "loss-scale", "speed", "validation"], plots.Keys.Order());
        Assert.Equal([false, true, false, true], plots["loss"].Series.Select(line => line.Faint));
        Assert.Equal(["half"], plots["loss-scale"].Series.Select(line => line.Name));
        Assert.Equal([10.0, 20], plots["validation"].Series[0].X.Take(2));
        Assert.All(plots["loss"].Series[0].Y, value => Assert.True(double.IsFinite(value)));
        Assert.Equal(8.0, RunPlots.Of(runs, bySamples: true).First().Plot.Series[0].X[1]);
        foreach (var plot in plots.Values) XElement.Parse(plot.ToSvg());
        string page = RunPlots.Page(runs, bySamples: false);
        Assert.Contains("Gradient norm", page);
        Assert.Contains("a &lt;spike&gt;", page);
        Assert.Equal(4, RunPlots.BestValidation(runs[1]));
        Assert.Equal(1.02, RunPlots.FinalLoss(runs[1]), 1e-9);

        static void Record(string folder, Func<StepLog, StepLog> change)
        {
            Directory.CreateDirectory(folder);
            var log = new RunLog(Path.Combine(folder, "log.jsonl"), 0);
            for (int step = 1; step <= 100; step++)
                log.Append(change(new StepLog(step, 4 * step, 2 - step / 100.0, 1, 2, 0.5, 1e-3, 4, 1000, 1e9)));
            new RunEvents(Path.Combine(folder, "events.jsonl")).Append(new RunEvent(DateTime.UnixEpoch, 3, 12, "spike", "a <spike>"));
        }
    }

    [Fact]
    public void A_folder_without_a_log_is_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("log.jsonl", Assert.Throws<GlmException>(() => RunRecord.Read(folder.Path)).Message);
        File.WriteAllText(Path.Combine(folder.Path, "log.jsonl"), "{\"step\"");
        Assert.Contains("none that is whole", Assert.Throws<GlmException>(() => RunRecord.Read(folder.Path)).Message);
    }

    /// <summary>A reader of TFRecords and of the fields that TensorBoard takes from events, written apart from the writer.</summary>
    private static List<(long Step, string? Version, Dictionary<string, float> Values, bool Begins)> Events(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        var events = new List<(long, string?, Dictionary<string, float>, bool)>();
        for (int at = 0; at < file.Length;)
        {
            int length = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at)));
            Assert.Equal(Masked(file.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            var data = file.AsSpan(at + 12, length);
            Assert.Equal(Masked(data), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            at += length + 16;
            long step = 0;
            string? version = null;
            bool begins = false;
            var values = new Dictionary<string, float>();
            foreach (var (field, number, bytes) in Fields(data.ToArray()))
            {
                if (field == 1) Assert.InRange(BitConverter.Int64BitsToDouble(number), 1.7e9, 1e11);
                if (field == 2) step = number;
                if (field == 3) version = Encoding.UTF8.GetString(bytes);
                if (field == 7) begins = Fields(bytes) is [(1, 1, _)];
                if (field == 5)
                    foreach (var value in Fields(bytes))
                    {
                        var parts = Fields(value.Bytes);
                        values.Add(Encoding.UTF8.GetString(parts[0].Bytes), BitConverter.Int32BitsToSingle((int)parts[1].Number));
                    }
            }
            events.Add((step, version, values, begins));
        }
        return events;
    }

    private static List<(int Field, long Number, byte[] Bytes)> Fields(byte[] message)
    {
        var fields = new List<(int, long, byte[])>();
        int at = 0;
        while (at < message.Length)
        {
            long tag = Varint();
            switch (tag & 7)
            {
                case 0: fields.Add(((int)tag >> 3, Varint(), [])); break;
                case 1: fields.Add(((int)tag >> 3, BinaryPrimitives.ReadInt64LittleEndian(message.AsSpan(at)), [])); at += 8; break;
                case 5: fields.Add(((int)tag >> 3, BinaryPrimitives.ReadInt32LittleEndian(message.AsSpan(at)), [])); at += 4; break;
                default:
                    int length = (int)Varint();
                    fields.Add(((int)tag >> 3, 0, message[at..(at + length)]));
                    at += length;
                    break;
            }
        }
        return fields;

        long Varint()
        {
            long value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte b = message[at++];
                value |= (long)(b & 0x7F) << shift;
                if (b < 0x80) return value;
            }
        }
    }

    private static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = Castagnoli(bytes);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    }

    /// <summary>CRC-32C bit by bit.</summary>
    private static uint Castagnoli(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }
        return ~crc;
    }
}
