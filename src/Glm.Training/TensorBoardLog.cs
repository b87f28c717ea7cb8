using System.Buffers.Binary;
using System.Numerics;

namespace Glm.Training;

/// <summary>
/// A file of scalars that TensorBoard reads: TFRecords, each length and payload followed by its masked CRC-32C, that hold one protobuf <c>Event</c>. Every part of
/// a run has a file of its own, which begins by saying at which step; what TensorBoard has read of later steps it then forgets.
/// </summary>
public sealed class TensorBoardLog : IDisposable
{
    private const string Version = "brain.Event:2";
    private readonly FileStream _stream;
    private readonly string _path;

    /// <summary>A new file in a folder.</summary>
    /// <param name="folder">The folder, which TensorBoard calls a run.</param>
    /// <param name="step">The step after which this part begins.</param>
    /// <exception cref="GlmException">It cannot be written.</exception>
    public TensorBoardLog(string folder, long step)
    {
        _path = System.IO.Path.Combine(folder, FormattableString.Invariant($"events.out.tfevents.{DateTimeOffset.UtcNow.ToUnixTimeSeconds():D10}.glm.{Environment.ProcessId}.{step}"));
        try
        {
            Directory.CreateDirectory(folder);
            _stream = new FileStream(_path, FileMode.Create, FileAccess.Write, FileShare.Read);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{_path}: cannot be written: {error.Message}", error);
        }
        Write(Event(step: 0).Write(3, Version));
        Rewind(step);
    }

    /// <summary>The names and values of a step of training, as they stand in the file.</summary>
    public static IEnumerable<(string Tag, double Value)> Scalars(StepLog step)
    {
        (string, double?)[] all =
        [
            ("loss/total", step.Loss), ("loss/mask", step.SpanLoss), ("loss/gmask", step.SuffixLoss), ("loss/multitask", step.MultitaskLoss), ("optimizer/learning_rate", step.Rate),
            ("optimizer/gradient_norm", step.GradientNorm), ("optimizer/loss_scale", step.LossScale), ("optimizer/overflows", step.Overflows), ("optimizer/batch", step.Batch),
            ("speed/tokens_per_second", step.TokensPerSecond), ("speed/flops_per_second", step.FlopsPerSecond), ("speed/share_of_peak", step.PeakShare),
            ("speed/share_of_communication", step.CommunicationShare), ("data/samples", step.Samples), ("data/discarded", step.Discarded),
        ];
        var validation = (step.Validation ?? []).Select((loss, source) => ($"validation/{source}", (double?)loss));
        return all.Concat(validation).Where(scalar => scalar.Item2 is not null).Select(scalar => (scalar.Item1, scalar.Item2!.Value));
    }

    /// <summary>Says that the run goes on after a step, to which it may have gone back.</summary>
    public void Rewind(long step) => Write(Event(step + 1).Write(7, new ProtobufWriter().Write(1, 1L).ToArray())); // SessionLog, status START

    /// <summary>Appends the scalars of a step.</summary>
    /// <exception cref="GlmException">The file cannot be written.</exception>
    public void Append(StepLog step)
    {
        var summary = new ProtobufWriter();
        foreach (var (tag, value) in Scalars(step)) summary.Write(1, new ProtobufWriter().Write(1, tag).Write(2, (float)value).ToArray());
        Write(Event(step.Step).Write(5, summary.ToArray()));
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    /// <summary>CRC-32C of some bytes, rotated and shifted by a constant, as records carry it.</summary>
    public static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes) crc = BitOperations.Crc32C(crc, value);
        return BitOperations.RotateRight(~crc, 15) + 0xA282EAD8;
    }

    private static ProtobufWriter Event(long step) => new ProtobufWriter().Write(1, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0).Write(2, step);

    private void Write(ProtobufWriter message)
    {
        byte[] data = message.ToArray(), record = new byte[data.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(record, data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedCrc(record.AsSpan(0, 8)));
        data.CopyTo(record, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + data.Length), MaskedCrc(data));
        try
        {
            _stream.Write(record);
            _stream.Flush();
        }
        catch (IOException error)
        {
            throw new GlmException($"{_path}: cannot be written: {error.Message}", error);
        }
    }
}
